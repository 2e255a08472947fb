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
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"
)

// Forwarding opens tunnels as `kubectl port-forward` does: the kubelet connects to
// the pod's loopback device, which of a pod with hostNetwork is the node's. It takes
// the right to create pods/portforward, and no port anywhere is opened.
func Forwarding(config *rest.Config) (Tunnels, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return forwarding{config, clients}, nil
}

type forwarding struct {
	config  *rest.Config
	clients kubernetes.Interface
}

// portForwardProtocol is what both ends speak.
const portForwardProtocol = "portforward.k8s.io"

func (f forwarding) Open(ctx context.Context, to Instance) (Tunnel, error) {
	// Each upgrader makes one connection.
	transport, upgrader, err := spdy.RoundTripperFor(f.config)
	if err != nil {
		return nil, err
	}
	url := f.clients.CoreV1().RESTClient().Post().Resource("pods").Namespace(to.Pod.Namespace).Name(to.Pod.Name).SubResource("portforward").URL()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Add(httpstream.HeaderProtocolVersion, portForwardProtocol)
	connect := func() (httpstream.Connection, error) {
		response, err := (&http.Client{Transport: transport}).Do(request)
		if err != nil {
			return nil, err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusSwitchingProtocols {
			return nil, refusal(response)
		}
		return upgrader.NewConnection(response)
	}
	connection, err := inTime(ctx, connect, func(c httpstream.Connection) { _ = c.Close() })
	if err != nil {
		return nil, err
	}
	return &forwarded{connection: connection}, nil
}

// inTime is what do returns, or why there is no time for it any more. What client-go
// has for tunnels heeds a context only while it connects: an answer that does not
// come would be waited for without end. What comes too late is undone.
func inTime[T any](ctx context.Context, do func() (T, error), undo func(T)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				undo(r.value)
			}
		}()
		var none T
		return none, context.Cause(ctx)
	}
}

// refusal is what the API server says in place of a connection.
func refusal(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, longestComplaint))
	message := strings.TrimSpace(string(text))
	var status metav1.Status
	if json.Unmarshal(text, &status) == nil && status.Message != "" {
		message = status.Message
	}
	if response.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%w: %s", ErrForbidden, message)
	}
	return fmt.Errorf("forwarding a port: %s: %s", response.Status, message)
}

// forwarded is a connection to a pod's kubelet that carries others.
type forwarded struct {
	connection httpstream.Connection
	requests   int
}

// Close ends what goes through it, too.
func (f *forwarded) Close() error { return f.connection.Close() }

// Dial makes two streams: one for data, and one for what the kubelet has to say.
func (f *forwarded) Dial(ctx context.Context, port int) (net.Conn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(f.requests))
	f.requests++
	s, err := inTime(ctx, func() (*stream, error) { return f.streams(headers) }, func(s *stream) { _ = s.Reset() })
	if err != nil {
		return nil, err
	}
	s.ended = ctx.Done()
	context.AfterFunc(ctx, func() { _ = s.Reset() })
	return s, nil
}

func (f *forwarded) streams(headers http.Header) (*stream, error) {
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	complaints, err := f.connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	_ = complaints.Close() // nothing is written to it
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := f.connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	s := &stream{Stream: data, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		text, err := io.ReadAll(io.LimitReader(complaints, longestComplaint))
		switch {
		case len(text) > 0:
			s.complaint = errors.New(lastPart(string(text)))
		case err != nil:
			s.complaint = err
		}
	}()
	return s, nil
}

// lastPart leaves out what the kubelet and the container runtime put before the cause.
func lastPart(complaint string) string {
	complaint = strings.TrimSpace(complaint)
	if at := strings.LastIndex(complaint, "dial tcp"); at >= 0 {
		return complaint[at:]
	}
	return complaint
}

// stream is a stream as a connection.
type stream struct {
	httpstream.Stream
	done      chan struct{}
	complaint error
	// ended tells that nobody waits for it any more.
	ended <-chan struct{}
}

// Read ends with what the kubelet has said of it, if it has.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if err != nil {
		select {
		case <-s.done:
			if s.complaint != nil {
				return n, s.complaint
			}
		case <-s.ended:
		case <-time.After(complaintPatience):
		}
	}
	return n, err
}

// longestComplaint is how many bytes of a reason are read.
const longestComplaint = 4096

// complaintPatience is how long after the end of data the reason may come.
const complaintPatience = time.Second

type noAddr struct{}

// Network is none.
func (noAddr) Network() string { return "portforward" }

// String is none.
func (noAddr) String() string { return "portforward" }

// LocalAddr is none.
func (*stream) LocalAddr() net.Addr { return noAddr{} }

// RemoteAddr is none.
func (*stream) RemoteAddr() net.Addr { return noAddr{} }

// SetDeadline does nothing: the context ends it.
func (*stream) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing: the context ends it.
func (*stream) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: the context ends it.
func (*stream) SetWriteDeadline(time.Time) error { return nil }
