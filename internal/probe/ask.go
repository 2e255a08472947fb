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

package probe

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// askHTTP uses a connection of its own, so that each attempt is balanced anew.
func askHTTP(ctx context.Context, r Request) (string, error) {
	path := r.Path
	if path == "" {
		path = "/hostname"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.Address+path, nil)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return string(body), err
}

func askTCP(ctx context.Context, r Request) (string, error) { return askSocket(ctx, "tcp", r) }
func askUDP(ctx context.Context, r Request) (string, error) { return askSocket(ctx, "udp", r) }

// askSocket sends one line and takes what the first read returns. A connected
// UDP socket is told of an ICMP port unreachable as ECONNREFUSED.
func askSocket(ctx context.Context, network string, r Request) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, r.Address)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	if _, err := io.WriteString(conn, r.Text+"\n"); err != nil {
		return "", err
	}
	buf := make([]byte, maxAnswer)
	n, err := conn.Read(buf)
	return string(buf[:n]), err
}
