package mysql

import (
	"errors"
	"testing"
)

func TestAConsumerReadsOnAllThrough(t *testing.T) {
	s := newScene(t, "reads on", Target{})
	s.ReadsOn(t, func(user, password string) (func() error, func(), error) {
		c, err := s.login(user, password)
		if err != nil {
			return nil, nil, err
		}
		query := func() error {
			if got, err := ask(c, "SELECT n FROM "+name(s.db)+".t"); err != nil || got != "7" {
				return errors.Join(err, errors.New("got "+got))
			}
			return nil
		}
		return query, func() { _ = c.Close() }, nil
	})
}
