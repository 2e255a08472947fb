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

package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// Container names a container on the node.
type Container struct{ Namespace, Pod, Name string }

// Stdio is where a command's input and output go. Those that the client did
// not ask for are nil; with TTY there is no Err.
type Stdio struct {
	In       io.Reader
	Out, Err io.WriteCloser
	TTY      bool
	Resize   <-chan remotecommand.TerminalSize
}

// Runtime is what runs the Pods. Errors may be NotFoundError or
// BadRequestError; Exec's may be a k8s.io/utils/exec ExitError.
type Runtime interface {
	Exec(ctx context.Context, container Container, command []string, stdio Stdio) error
	Attach(ctx context.Context, container Container, stdio Stdio) error
	PortForward(ctx context.Context, namespace, pod string, port int32, stream io.ReadWriteCloser) error
	Logs(ctx context.Context, container Container, options *corev1.PodLogOptions, out io.Writer) error
	Pods() []*corev1.Pod
}

// NotFoundError is answered with 404.
type NotFoundError string

func (e NotFoundError) Error() string { return string(e) }

// BadRequestError is answered with 400.
type BadRequestError string

func (e BadRequestError) Error() string { return string(e) }

// Config describes a Server.
type Config struct {
	Runtime     Runtime
	ServingCert tls.Certificate
	ClientCAs   *x509.CertPool
	Log         logr.Logger
}

// Server is the kubelet API of one node.
type Server struct {
	config Config
	mux    *http.ServeMux
}

// New returns a server that Serve can be called on, once per listener.
func New(config Config) *Server {
	s := &Server{config: config, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	s.mux.HandleFunc("GET /pods", s.pods)
	s.mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	for _, uid := range []string{"", "{uid}/"} {
		s.mux.HandleFunc("/exec/{namespace}/{pod}/"+uid+"{container}", s.exec)
		s.mux.HandleFunc("/attach/{namespace}/{pod}/"+uid+"{container}", s.attach)
	}
	s.mux.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	s.mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", s.portForward)
	return s
}

// Serve answers on listener until ctx ends, which it returns nil for.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: s.authorized(s.mux),
		TLSConfig: &tls.Config{
			MinVersion:   tls.VersionTLS12,
			Certificates: []tls.Certificate{s.config.ServingCert},
			ClientAuth:   tls.VerifyClientCertIfGiven,
			ClientCAs:    s.config.ClientCAs,
		},
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes of strangers
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	err := server.ServeTLS(listener, "", "")
	if errors.Is(err, http.ErrServerClosed) && ctx.Err() != nil {
		return nil
	}
	return err
}

// authorized lets the API server and the cluster's administrators in.
func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			http.Error(w, "Unauthorized: a client certificate of the cluster is needed", http.StatusUnauthorized)
			return
		}
		subject := r.TLS.VerifiedChains[0][0].Subject
		if subject.CommonName != "kube-apiserver-kubelet-client" && !slices.Contains(subject.Organization, "system:masters") {
			http.Error(w, "Forbidden: "+subject.CommonName+" may not use the kubelet API", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func writeError(w http.ResponseWriter, err error) {
	status := http.StatusInternalServerError
	var notFound NotFoundError
	var badRequest BadRequestError
	switch {
	case errors.As(err, &notFound):
		status = http.StatusNotFound
	case errors.As(err, &badRequest):
		status = http.StatusBadRequest
	}
	http.Error(w, err.Error(), status)
}
