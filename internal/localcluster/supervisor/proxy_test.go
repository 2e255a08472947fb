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

package supervisor

import (
	"context"
	"io"
	"net"
	"testing"

	"switchyard.dev/switchyard/test/testenv/ports"
)

func TestTheProxyPassesOnBothDirectionsAndTheirEnds(t *testing.T) {
	server := listenLoopback(t)
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		// Answers only after the client's end of stream has come through.
		request, _ := io.ReadAll(conn)
		_, _ = conn.Write(append([]byte("got "), request...))
		_ = conn.Close()
	}()
	front := listenLoopback(t)
	go proxy(context.Background(), front, server.Addr().String())

	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(client)
	if err != nil || string(answer) != "got hello" {
		t.Errorf("answer %q, %v", answer, err)
	}
}

func TestAClientOfAServerThatIsDownSeesTheConnectionEnd(t *testing.T) {
	address, err := ports.Address()
	if err != nil {
		t.Fatal(err)
	}
	front := listenLoopback(t)
	go proxy(context.Background(), front, address)
	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if answer, _ := io.ReadAll(client); len(answer) != 0 {
		t.Errorf("answer %q", answer)
	}
}

func listenLoopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
