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
	"errors"
	"net"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// managers are tunnels to replicas of the manager, of which some are in trouble.
type managers struct {
	certificate tls.Certificate
	refuse      map[string]error
	opened      []string
}

func (m *managers) Open(ctx context.Context, to Instance) (Tunnel, error) {
	m.opened = append(m.opened, to.Name)
	if to.Name == "hangs" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := m.refuse[to.Name]; err != nil {
		return nil, err
	}
	return &managerTunnel{m.certificate, to.Name == "silent"}, nil
}

type managerTunnel struct {
	certificate tls.Certificate
	silent      bool
}

func (t *managerTunnel) Close() error { return nil }

func (t *managerTunnel) Dial(ctx context.Context, _ int) (net.Conn, error) {
	here, there := net.Pipe()
	context.AfterFunc(ctx, func() { _ = there.Close() })
	if t.silent {
		go func() { _, _ = there.Read(make([]byte, 4096)) }()
		return here, nil
	}
	server := tls.Server(there, &tls.Config{Certificates: []tls.Certificate{t.certificate}, MinVersion: tls.VersionTLS12})
	go func() { _ = server.HandshakeContext(ctx) }()
	return here, nil
}

// What is wrong with one replica hides the certificate of no other.
func TestOneManagerInTroubleHidesNoOther(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	certificate, ends := server.TLS.Certificates[0], server.Certificate().NotAfter
	server.Close()
	for name, tc := range map[string]struct {
		replicas []string
		refuse   map[string]error
		serving  map[string]time.Time
		unseen   []Unseen
		opened   int
	}{
		"all are well": {replicas: []string{"a", "b"}, serving: map[string]time.Time{"a": ends, "b": ends}, opened: 2},
		"tunnels hang": {
			replicas: []string{"hangs", "a", "hangs", "b"}, serving: map[string]time.Time{"a": ends, "b": ends}, opened: 4,
			unseen: []Unseen{
				{What: "the certificate that hangs serves", Reason: "no answer within 5s"},
				{What: "the certificate that hangs serves", Reason: "no answer within 5s"},
			},
		},
		"one is silent": {
			replicas: []string{"silent", "a"}, serving: map[string]time.Time{"a": ends}, opened: 2,
			unseen: []Unseen{{What: "the certificate that silent serves", Reason: "no answer within 5s"}},
		},
		"a tunnel fails": {
			replicas: []string{"a", "b"}, refuse: map[string]error{"a": errors.New("its node is gone")}, serving: map[string]time.Time{"b": ends}, opened: 2,
			unseen: []Unseen{{What: "the certificate that a serves", Reason: "its node is gone"}},
		},
		"you may not": {
			replicas: []string{"a", "b"}, refuse: map[string]error{"a": ErrForbidden}, serving: map[string]time.Time{}, opened: 1,
			unseen: []Unseen{{What: "the certificate that a serves", Reason: "forbidden", Forbidden: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tunnels := &managers{certificate: certificate, refuse: tc.refuse}
				r := &reading{Asker: Asker{Tunnels: tunnels}, facts: &Facts{Serving: map[string]time.Time{}}}
				r.Limits.Defaults()
				for _, replica := range tc.replicas {
					r.facts.Managers = append(r.facts.Managers, Instance{Name: replica, Ready: true})
				}
				r.managers(t.Context())
				if diff := cmp.Diff(tc.serving, r.facts.Serving); diff != "" {
					t.Errorf("serving (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tc.unseen, r.facts.Unseen); diff != "" {
					t.Errorf("unseen (-want +got):\n%s", diff)
				}
				if len(tunnels.opened) != tc.opened {
					t.Errorf("opened: %v", tunnels.opened)
				}
			})
		})
	}
}
