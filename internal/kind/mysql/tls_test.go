package mysql

import (
	"testing"

	"github.com/rastup/rekey/internal/kind/internal/database"
)

func TestTLSIsOnUnlessSaidOtherwise(t *testing.T) {
	for tls, want := range map[string]bool{"": true, "encrypt": true, "off": false} {
		s := newScene(t, "tls_"+tls, Target{TLS: tls})
		l := database.Login{Host: s.server.Host, Port: s.server.Port, User: s.app, Password: s.Deps.Keep.Known([]byte(first)),
			TLS: database.TLS{CA: s.server.CA, Off: tls == "off", Unverified: tls == "encrypt"}}
		c, _, err := open(t.Context(), nil, l)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := c.Read(t.Context(), "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
		if err != nil || (rows[0][1] != "") != want {
			t.Errorf("tls %q: %v, %v", tls, rows, err)
		}
		c.Close()
		s.Run("preflight")
	}
}
