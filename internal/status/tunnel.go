/*
Copyright The Switchyard Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package status

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Tunnels lead to programs that only listen where they run.
type Tunnels interface {
	// Open makes a tunnel into the network of the instance. ErrForbidden says that
	// the user may open none there.
	Open(ctx context.Context, to Instance) (Tunnel, error)
}

// Tunnel is one of Tunnels.
type Tunnel interface {
	// Dial connects to a port of the loopback device there. The connection ends with
	// the context.
	Dial(ctx context.Context, port int) (net.Conn, error)
	Close() error
}

// ErrForbidden tells of a lack of rights, which the next one lacks as well.
var ErrForbidden = errors.New("forbidden")

// longestPage bounds a page of an agent's.
const longestPage = 32 << 20

// Page is what one answered.
type Page struct {
	Code int
	Date time.Time
	Body []byte
}

// Get gets a page through the tunnel.
func Get(ctx context.Context, t Tunnel, port int, path string) (Page, error) {
	transport := &http.Transport{
		// A connection ends with the request's context; the transport's own for dialling
		// does not end with the request.
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return t.Dial(ctx, port) },
		DisableKeepAlives: true,
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort("localhost", strconv.Itoa(port))+path, nil)
	if err != nil {
		return Page{}, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = response.Body.Close() }()
	page := Page{Code: response.StatusCode}
	page.Date, _ = http.ParseTime(response.Header.Get("Date"))
	page.Body, err = ReadPage(response.Body, path)
	return page, err
}

// ReadPage reads what is called so to its end: of half a page nobody can tell what it
// lacks.
func ReadPage(body io.Reader, name string) ([]byte, error) {
	page, err := io.ReadAll(io.LimitReader(body, longestPage+1))
	if err == nil && len(page) > longestPage {
		return nil, fmt.Errorf("%s has more than %d MiB", name, longestPage>>20)
	}
	return page, err
}

// certificateEnds is when the certificate ends that is served there. Whether it is
// to be trusted is the API server's to say.
func certificateEnds(ctx context.Context, t Tunnel, port int) (time.Time, error) {
	raw, err := t.Dial(ctx, port)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { _ = raw.Close() }()
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // Only looked at: nothing is sent.
	if err := conn.HandshakeContext(ctx); err != nil {
		// Who asks callers for a certificate of theirs has shown its own by then.
		if len(conn.ConnectionState().PeerCertificates) == 0 {
			return time.Time{}, err
		}
	}
	return firstToEnd(conn.ConnectionState().PeerCertificates)
}

func firstToEnd(chain []*x509.Certificate) (ends time.Time, err error) {
	for _, c := range chain {
		if ends.IsZero() || c.NotAfter.Before(ends) {
			ends = c.NotAfter
		}
	}
	if ends.IsZero() {
		err = fmt.Errorf("no certificate")
	}
	return ends, err
}
