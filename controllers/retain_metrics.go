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

const (
	refusedAtReserve = "reserve"
	refusedAtRelease = "release"
)

var retainRefused = prometheus.NewCounterVec(prometheus.CounterOpts{
	Name: "switchyard_retain_limit_reached_total",
	Help: "Services whose numbers were not reserved (reserve), and reserved numbers that were not kept when their Service went (release), " +
		"because of the limit of their namespace.",
}, []string{"at"})

func init() { metrics.Registry.MustRegister(retainRefused) }
