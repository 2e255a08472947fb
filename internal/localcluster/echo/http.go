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

package echo

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// maxBody bounds how much of a request's body is read.
const maxBody = 1 << 20

var quiet = log.New(io.Discard, "", 0)

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/hostname", func(w http.ResponseWriter, r *http.Request) {
		s.answerText(w, r, s.config.Identity.Pod)
	})
	mux.HandleFunc("/clientip", func(w http.ResponseWriter, r *http.Request) {
		s.answerText(w, r, s.replyTo(r).Client)
	})
	for _, path := range []string{"/ready", "/readyz"} {
		mux.HandleFunc(path, s.answerSwitch(&s.unready, "ready"))
	}
	for _, path := range []string{"/healthz", "/livez"} {
		mux.HandleFunc(path, s.answerSwitch(&s.unhealthy, "healthy"))
	}
	mux.HandleFunc("/", s.answerReply)
	return mux
}

func (s *Server) replyTo(r *http.Request) Reply {
	conn, _ := r.Context().Value(connKey{}).(*peekedConn)
	if conn == nil {
		return Reply{}
	}
	reply := s.config.Identity.reply("TCP", conn.port, addrPort(conn.RemoteAddr()))
	reply.Request = r.Method + " " + r.URL.RequestURI()
	return reply
}

func (s *Server) answerText(w http.ResponseWriter, r *http.Request, text string) {
	s.logHTTP(r, s.replyTo(r), http.StatusOK)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, text)
}

func (s *Server) answerReply(w http.ResponseWriter, r *http.Request) {
	if isProbe(r) && !s.Ready() && r.URL.Path == s.config.ReadinessPath {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	reply := s.replyTo(r).to(body)
	s.logHTTP(r, reply, http.StatusOK)
	if wantsJSON(r) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(reply.line())
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, reply.text())
}

// answerSwitch tells, and with ?set= changes, whether the server is ready or
// healthy.
func (s *Server) answerSwitch(off *atomic.Bool, word string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if set := r.URL.Query().Get("set"); set != "" {
			on, err := strconv.ParseBool(set)
			if err != nil {
				http.Error(w, "set must be true or false", http.StatusBadRequest)
				return
			}
			off.Store(!on)
			if s.config.ReadyChanged != nil {
				s.config.ReadyChanged()
			}
			s.answerText(w, r, fmt.Sprintf("%s is now %t", word, on))
			return
		}
		if off.Load() {
			s.logHTTP(r, s.replyTo(r), http.StatusServiceUnavailable)
			http.Error(w, "not "+word, http.StatusServiceUnavailable)
			return
		}
		s.answerText(w, r, word)
	}
}

// logHTTP leaves out the kubelet's probes: they would drown the traffic.
func (s *Server) logHTTP(r *http.Request, reply Reply, status int) {
	if !isProbe(r) {
		s.log(reply, fmt.Sprintf("%q %d", reply.Request, status))
	}
}

func isProbe(r *http.Request) bool { return strings.HasPrefix(r.UserAgent(), "kube-probe/") }

func wantsJSON(r *http.Request) bool {
	return r.URL.Query().Get("format") == "json" || strings.Contains(r.Header.Get("Accept"), "application/json")
}
