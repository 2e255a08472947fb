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
	"sync"
)

// proxy passes every connection that listener accepts on to address, until
// the listener is closed. The listener is the machine's, address is in the
// cluster: this process has a foot in both.
func proxy(ctx context.Context, listener net.Listener, address string) {
	var dialer net.Dialer
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = client.Close() }()
			server, err := dialer.DialContext(ctx, "tcp", address)
			if err != nil {
				return // the client sees the connection end, as with a server that is down
			}
			defer func() { _ = server.Close() }()
			splice(client.(*net.TCPConn), server.(*net.TCPConn))
		}()
	}
}

// splice copies in both directions, and passes on the end of each by itself.
func splice(a, b *net.TCPConn) {
	var directions sync.WaitGroup
	directions.Go(func() { pour(a, b) })
	directions.Go(func() { pour(b, a) })
	directions.Wait()
}

func pour(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		// One side broke: so does the other, or its reader would wait forever.
		_ = to.Close()
		_ = from.Close()
		return
	}
	_ = to.CloseWrite()
}
