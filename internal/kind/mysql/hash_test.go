package mysql

import (
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/secret"
)

// What crypt(3) of a Debian system makes of them.
func TestSHACrypt(t *testing.T) {
	for _, c := range []struct {
		key, salt string
		rounds    int
		want      string
	}{
		{"Hello world!", "saltstring", 5000, "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
		{"Hello world!", "saltstringsaltst", 10000, "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"},
		{"we have a short salt string but not a short password", "short", 77777, "JiO1O3ZpDAxGJeaDIuqCoEFysAe1mZNJRs3pw0KQRd/"},
	} {
		if got := crypt([]byte(c.key), []byte(c.salt), c.rounds); got != c.want {
			t.Errorf("%q: got %s, want %s", c.key, got, c.want)
		}
	}
}

func TestHashesHaveTheFormsOfTheirPlugins(t *testing.T) {
	v := secret.Keeper{Seen: func([]byte) {}}.Known([]byte("password"))
	if got, err := hash(native, v); err != nil || got != "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19" { // SELECT PASSWORD('password')
		t.Errorf("%s: %v, %v", native, got, err)
	}
	if got, err := hash(caching, v); err != nil || len(got) != 70 || !strings.HasPrefix(got, "$A$005$") { // as mysql.user holds it
		t.Errorf("%s: %v, %v", caching, got, err)
	}
	if _, err := hash("auth_socket", v); err == nil {
		t.Error("auth_socket: no refusal")
	}
}
