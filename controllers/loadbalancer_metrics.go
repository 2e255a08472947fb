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

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	loadBalancerWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "switchyard_load_balancer_writes_total",
		Help: "Writes of load balancers' addresses. object is claim or status; result is written, conflict or failed; the last two are tried again.",
	}, []string{"object", "result"})
	loadBalancerReloads = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "switchyard_load_balancer_reloads_total",
		Help: "Times that addresses of load balancers were decided anew from their claims, as somebody else had changed one.",
	})
)

func init() {
	metrics.Registry.MustRegister(loadBalancerWrites, loadBalancerReloads)
	for _, object := range []string{"claim", "status"} {
		for _, result := range []string{"written", "conflict", "failed"} {
			loadBalancerWrites.WithLabelValues(object, result)
		}
	}
}
