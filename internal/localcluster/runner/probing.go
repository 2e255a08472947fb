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

package runner

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"switchyard.dev/switchyard/internal/netns"
)

// target is where a container's probes and hooks go.
type target struct {
	from      *netns.Namespace // the node's
	podIP     netip.Addr
	container *corev1.Container
	// exec runs a command in the container and returns an error unless it
	// exits with 0.
	exec func(ctx context.Context, command []string) error
}

// probe runs one probe once; nil is success.
func (t target) probe(ctx context.Context, probe *corev1.Probe) error {
	switch {
	case probe.HTTPGet != nil:
		return t.httpGet(ctx, probe.HTTPGet)
	case probe.TCPSocket != nil:
		return t.tcpSocket(ctx, probe.TCPSocket.Host, probe.TCPSocket.Port)
	case probe.GRPC != nil:
		// Whether the port accepts is all that can be said without a client
		// for the health protocol; an echo server does not speak it.
		return t.tcpSocket(ctx, "", intstr.FromInt32(probe.GRPC.Port))
	case probe.Exec != nil:
		return t.exec(ctx, probe.Exec.Command)
	}
	return nil
}

func (t target) address(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = t.podIP.String()
	}
	number, err := portNumber(t.container, port)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(host, strconv.Itoa(int(number))), nil
}

func portNumber(container *corev1.Container, port intstr.IntOrString) (int32, error) {
	if port.Type == intstr.Int {
		return port.IntVal, nil
	}
	for _, p := range container.Ports {
		if p.Name == port.StrVal {
			return p.ContainerPort, nil
		}
	}
	if n, err := strconv.ParseUint(port.StrVal, 10, 16); err == nil {
		return int32(n), nil
	}
	return 0, fmt.Errorf("container %s has no port named %s", container.Name, port.StrVal)
}

func (t target) tcpSocket(ctx context.Context, host string, port intstr.IntOrString) error {
	address, err := t.address(host, port)
	if err != nil {
		return err
	}
	conn, err := t.dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// dial connects from the node's namespace.
func (t target) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return dialIn(ctx, t.from, network, address)
}

func dialIn(ctx context.Context, ns *netns.Namespace, network, address string) (net.Conn, error) {
	var conn net.Conn
	err := ns.Do(func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func (t target) httpGet(ctx context.Context, action *corev1.HTTPGetAction) error {
	address, err := t.address(action.Host, action.Port)
	if err != nil {
		return err
	}
	scheme := strings.ToLower(string(action.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	path := action.Path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+address+path, nil)
	if err != nil {
		return err
	}
	setProbeHeaders(request, action.HTTPHeaders)
	transport := &http.Transport{
		DialContext:       t.dial,
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // as a kubelet's probes: a Pod's certificate is for its clients
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: sameHostOnly}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, 10<<10)
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", response.StatusCode)
	}
	return nil
}

func setProbeHeaders(request *http.Request, headers []corev1.HTTPHeader) {
	request.Header.Set("User-Agent", "kube-probe/1.37")
	request.Header.Set("Accept", "*/*")
	for _, header := range headers {
		if strings.EqualFold(header.Name, "Host") {
			request.Host = header.Value
			continue
		}
		request.Header.Add(header.Name, header.Value)
	}
}

// sameHostOnly takes a redirect to elsewhere as success, as a kubelet does.
func sameHostOnly(request *http.Request, via []*http.Request) error {
	if request.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

// repeat runs a probe until ctx ends. report is called with each decided
// result and, if it is a failure, its reason; it returns false to end.
func (t target) repeat(ctx context.Context, probe *corev1.Probe, initial bool, report func(ok bool, reason error) (goOn bool)) {
	times, state := timesOf(probe), newProbeState(probe, initial)
	if !sleep(ctx, times.delay) {
		return
	}
	for {
		attempt, cancel := context.WithTimeout(ctx, times.timeout)
		err := t.probe(attempt, probe)
		cancel()
		if ctx.Err() != nil {
			return
		}
		if state.observe(err == nil) && !report(state.result, err) {
			return
		}
		if !sleep(ctx, times.period) {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
