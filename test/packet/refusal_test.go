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

package packet

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

func TestAServiceWithoutEndpointsRefusesAtOnce(t *testing.T) {
	eachFamily(t, func(w *world) {
		// Without a refusal of ours these would answer.
		w.wild(w.vips(), 80)
		w.serveAt(w.node, "node", netip.AddrPortFrom(w.nodeIP(), nodePort))
		for network, protocol := range networks {
			w.program(w.service(protocol))
			for name, way := range w.ways() {
				w.Run(network+" "+name, func(t *testing.T) {
					if err := refusal(way, network); !errors.Is(err, unix.ECONNREFUSED) {
						t.Errorf("got %v, want connection refused", err)
					}
				})
			}
		}
	})
}

// refusal is the error that a client gets. Of a datagram that is rejected
// before it has left the machine, the kernel says that sending was not
// permitted, and delivers the ICMP error after that.
func refusal(way way, network string) error { return refusalWithin(patience, way, network) }

func refusalWithin(limit time.Duration, way way, network string) error {
	conn, err := dialWithin(limit, way.from, network, way.to)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err = exchangeWithin(limit, conn); errors.Is(err, unix.EPERM) {
		_, err = conn.Read(make([]byte, 1))
	}
	return err
}

func TestRefusalBeginsAndEndsWithTheEndpoints(t *testing.T) {
	eachFamily(t, func(w *world) {
		at := w.serve(w.a, "a", w.podIP(podA))
		vip := netip.AddrPortFrom(w.clusterIP(), 80)
		w.program(w.service(model.TCP, at))
		open, err := dial(w.client, "tcp", vip)
		if err != nil {
			w.Fatal(err)
		}
		defer func() { _ = open.Close() }()
		for range 3 {
			w.apply(w.service(model.TCP))
			if _, err := ask(w.client, "tcp", vip); !errors.Is(err, unix.ECONNREFUSED) {
				w.Errorf("without endpoints: %v, want connection refused", err)
			}
			if _, err := exchange(open); err != nil {
				w.Errorf("a connection from before was disturbed: %v", err)
			}
			w.apply(w.service(model.TCP, at))
			if _, err := ask(w.client, "tcp", vip); err != nil {
				w.Errorf("with the endpoint back: %v", err)
			}
		}
	})
}
