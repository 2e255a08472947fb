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

package refusedns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"

	"switchyard.dev/switchyard/internal/netns"
)

// Serve answers on UDP and TCP of every address, in the namespace, until ctx
// ends, which it returns nil for. The addresses must be the namespace's own.
// ready, if not nil, is called once all sockets are open.
func Serve(ctx context.Context, ns *netns.Namespace, addrs []netip.AddrPort, ready func()) error {
	var servers []*dns.Server
	err := ns.Do(func() error {
		for _, addr := range addrs {
			pair, err := open(addr)
			servers = append(servers, pair...)
			if err != nil {
				return fmt.Errorf("answering DNS on %s: %w", addr, err)
			}
		}
		return nil
	})
	if err != nil {
		closeAll(servers)
		return err
	}
	if ready != nil {
		ready()
	}
	return serveAll(ctx, servers)
}

func open(addr netip.AddrPort) ([]*dns.Server, error) {
	packets, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	servers := []*dns.Server{{PacketConn: packets, Handler: dns.HandlerFunc(refuse)}}
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return servers, err
	}
	return append(servers, &dns.Server{
		Listener: listener, Handler: dns.HandlerFunc(refuse),
		ReadTimeout: 2 * time.Second, MaxTCPQueries: 128,
	}), nil
}

func closeAll(servers []*dns.Server) {
	for _, server := range servers {
		if server.PacketConn != nil {
			_ = server.PacketConn.Close()
		}
		if server.Listener != nil {
			_ = server.Listener.Close()
		}
	}
}

// serveAll ends when ctx does, or with the first failure.
func serveAll(ctx context.Context, servers []*dns.Server) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { closeAll(servers) })
	defer stop()
	errs := make([]error, len(servers))
	var running sync.WaitGroup
	for i, server := range servers {
		running.Go(func() {
			if err := server.ActivateAndServe(); err != nil && ctx.Err() == nil {
				errs[i] = err
				cancel()
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

func refuse(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetRcode(query, dns.RcodeRefused)
	if edns := query.IsEdns0(); edns != nil {
		answer.SetEdns0(dns.DefaultMsgSize, false)
	}
	_ = w.WriteMsg(answer)
}
