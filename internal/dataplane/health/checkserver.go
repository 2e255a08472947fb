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

package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"switchyard.dev/switchyard/internal/dataplane/model"
)

// checkServer answers for one Service at one address, whatever the path.
type checkServer struct {
	state     *State
	service   types.NamespacedName
	endpoints atomic.Int64

	server *http.Server
	ended  chan struct{}
}

// startCheck listens and serves.
func startCheck(state *State, key checkKey, endpoints int) (*checkServer, error) {
	network := "tcp4"
	if model.FamilyOf(key.address.Addr()) == model.IPv6 {
		network = "tcp6"
	}
	config := net.ListenConfig{Control: freeBind}
	listener, err := config.Listen(context.Background(), network, key.address.String())
	if err != nil {
		return nil, explainListen(err)
	}
	c := &checkServer{state: state, service: key.service, ended: make(chan struct{})}
	c.endpoints.Store(int64(endpoints))
	c.server = newServer(c)
	// Answers are small; who does not read one in time is not waited for.
	c.server.WriteTimeout = 5 * time.Second
	go func() {
		defer close(c.ended)
		_ = c.server.Serve(listener) // it ends with close
	}()
	return c, nil
}

// explainListen leaves out the address, which the caller names.
func explainListen(err error) error {
	if reason, ok := errors.AsType[*os.SyscallError](err); ok {
		err = reason
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: stop the program of this node that has it, or make the Service again with another healthCheckNodePort", err)
	}
	return err
}

// freeBind lets a server listen on an address that is about to come: IPv6
// refuses others until duplicate address detection is through.
func freeBind(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// close frees the port and ends what is being answered.
func (c *checkServer) close() {
	_ = c.server.Close()
	<-c.ended
}

// checkReport has kube-proxy's fields.
type checkReport struct {
	Service             checkService `json:"service"`
	LocalEndpoints      int64        `json:"localEndpoints"`
	ServiceProxyHealthy bool         `json:"serviceProxyHealthy"`
}

type checkService struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// ServeHTTP answers 200 if connections to the Service would find an endpoint on
// this node. Load balancers that can weigh nodes read the header.
func (c *checkServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	report := checkReport{
		Service:             checkService{c.service.Namespace, c.service.Name},
		LocalEndpoints:      c.endpoints.Load(),
		ServiceProxyHealthy: c.state.Healthy(),
	}
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.FormatInt(report.LocalEndpoints, 10))
	writeJSON(w, statusOf(report.LocalEndpoints > 0 && report.ServiceProxyHealthy), report)
}

func statusOf(healthy bool) int {
	if healthy {
		return http.StatusOK
	}
	return http.StatusServiceUnavailable
}

// writeJSON answers as kube-proxy does.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client is gone: nobody to tell
}
