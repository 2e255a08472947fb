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
	"encoding/json"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// idleTimeout is a kubelet's: how long a stream may be silent.
const idleTimeout = 4 * time.Hour

func (s *Server) pods(w http.ResponseWriter, _ *http.Request) {
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}}
	for _, pod := range s.config.Runtime.Pods() {
		list.Items = append(list.Items, *pod)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(list)
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	options, err := parseLogOptions(r.URL.Query())
	if err != nil {
		writeError(w, err)
		return
	}
	out := &flushingWriter{w: w, controller: http.NewResponseController(w), follow: options.Follow}
	err = s.config.Runtime.Logs(r.Context(), containerOf(r), options, out)
	switch {
	case err != nil && !out.began:
		writeError(w, err)
	case err != nil && r.Context().Err() == nil:
		s.config.Log.Error(err, "Could not send a log", "pod", r.PathValue("pod"))
	case options.Follow:
		_ = out.controller.Flush()
	}
}

// flushingWriter sends a followed log as it comes.
type flushingWriter struct {
	w             http.ResponseWriter
	controller    *http.ResponseController
	follow, began bool
}

func (f *flushingWriter) Write(p []byte) (int, error) {
	f.began = true
	n, err := f.w.Write(p)
	if err == nil && f.follow {
		err = f.controller.Flush()
	}
	return n, err
}

func containerOf(r *http.Request) Container {
	return Container{Namespace: r.PathValue("namespace"), Pod: r.PathValue("pod"), Name: r.PathValue("container")}
}

func (s *Server) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		writeError(w, BadRequestError(err.Error()))
		return
	}
	remotecommand.ServeExec(w, r, streams{s.config.Runtime, containerOf(r)}, "", "", "", r.URL.Query()["command"], options,
		idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *Server) attach(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		writeError(w, BadRequestError(err.Error()))
		return
	}
	remotecommand.ServeAttach(w, r, streams{s.config.Runtime, containerOf(r)}, "", "", "", options,
		idleTimeout, remotecommand.DefaultStreamCreationTimeout, remotecommand.SupportedStreamingProtocols)
}

func (s *Server) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		writeError(w, BadRequestError(err.Error()))
		return
	}
	portforward.ServePortForward(w, r, streams{s.config.Runtime, containerOf(r)}, "", "", options,
		idleTimeout, remotecommand.DefaultStreamCreationTimeout, portforward.SupportedProtocols)
}

// streams binds the request's container to the library's interfaces, whose
// own name arguments are not used.
type streams struct {
	runtime   Runtime
	container Container
}

func (t streams) ExecInContainer(ctx context.Context, _, _, _ string, command []string,
	in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	return t.runtime.Exec(ctx, t.container, command, Stdio{In: in, Out: out, Err: errOut, TTY: tty, Resize: resize})
}

func (t streams) AttachContainer(ctx context.Context, _, _, _ string,
	in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize,
) error {
	return t.runtime.Attach(ctx, t.container, Stdio{In: in, Out: out, Err: errOut, TTY: tty, Resize: resize})
}

func (t streams) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	return t.runtime.PortForward(ctx, t.container.Namespace, t.container.Pod, port, stream)
}
