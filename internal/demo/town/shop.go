package town

import (
	"context"
	"net"
	"net/http"
	"strings"

	checkhttp "github.com/rastup/rekey/internal/check/http"
)

// Host is the application's name inside the town. Its port on loopback is another each time, and no text, commit or
// digest should depend on that.
const Host = "shop.example"

// checks is the client of http checks: it finds Host where the application listens.
func (t *Town) checks() *http.Client {
	c := checkhttp.NewClient()
	transport, dialer := c.Transport.(*http.Transport).Clone(), net.Dialer{}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(address); err == nil && host == Host {
			address = strings.TrimPrefix(t.appURL, "http://")
		}
		return dialer.DialContext(ctx, network, address)
	}
	c.Transport = transport
	return c
}
