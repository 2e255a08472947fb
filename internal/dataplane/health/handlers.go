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
	"fmt"
	"net/http"
	"strconv"
)

// Mux serves what load balancers and the kubelet ask for.
//
//	/healthz  programming keeps up and the Node may take traffic from outside
//	/livez    programming keeps up
//	/readyz   the first sync is done
func Mux(state *State, metrics *Metrics) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		r := state.report()
		r.NodeEligible = &r.eligible
		metrics.kubeproxy.healthz.WithLabelValues(write(w, r, r.Healthy && r.eligible)).Inc()
	})
	mux.HandleFunc("/livez", func(w http.ResponseWriter, _ *http.Request) {
		r := state.report()
		metrics.kubeproxy.livez.WithLabelValues(write(w, r, r.Healthy)).Inc()
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { writeReady(w, state) })
	return mux
}

// MetricsMux serves what kube-proxy serves on its metrics address.
func MetricsMux(metrics *Metrics) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics.Handler())
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") })
	mux.HandleFunc("/proxyMode", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "nftables") })
	return mux
}

// write prints r and returns the status code as text, for the metric.
func write(w http.ResponseWriter, r report, healthy bool) (code string) {
	if healthy {
		// Readers of older kube-proxies take a recent lastUpdated for health:
		// while healthy it is always recent.
		r.LastUpdated = r.CurrentTime
	}
	status := statusOf(healthy)
	writeJSON(w, status, r)
	return strconv.Itoa(status)
}

func writeReady(w http.ResponseWriter, state *State) {
	if !state.Ready() {
		http.Error(w, "the first sync of Services to the kernel is not done yet", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, "ok")
}
