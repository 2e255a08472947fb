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

package plugin

import (
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
	coreplugin "github.com/coredns/coredns/plugin"

	"switchyard.dev/switchyard/internal/discovery"
)

func TestEveryPropertyOfTheKubernetesPluginIsTaken(t *testing.T) {
	o, err := parse(caddy.NewTestController("dns", `switchyard in-addr.arpa cluster.local 10.0.0.0/8 {
		endpoint https://10.0.0.1:6443 https://10.0.0.2:6443
		tls cert key ca
		kubeconfig /etc/kubeconfig other
		apiserver_qps 50
		apiserver_burst 100
		apiserver_max_inflight 10
		namespaces shop other
		labels environment in (staging, qa),application=nginx
		pods verified
		endpoint_pod_names
		ttl 30
		noendpoints
		fallthrough in-addr.arpa
		ignore empty_service
		startup_timeout 3s
	}`))
	if err != nil {
		t.Fatal(err)
	}
	if o.Zone != "cluster.local." || o.TTL != 30 || o.Pods != discovery.PodsVerified || !o.EndpointPodNames || !o.IgnoreEmpty || !o.withoutSlices ||
		o.labels != "application=nginx,environment in (qa,staging)" || !o.namespaces["shop"] || o.startupTimeout != 3*time.Second ||
		!o.fall.Through("1.in-addr.arpa.") || o.fall.Through("cluster.local.") || len(o.zones) != 3 {
		t.Errorf("options are %+v", o)
	}
	want := connection{"/etc/kubeconfig", "other", "https://10.0.0.1:6443", "cert", "key", "ca", 50, 100}
	if o.connection != want {
		t.Errorf("connection is %+v", o.connection)
	}
}

func TestWhatCanNotBeMeantIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"switchyard in-addr.arpa": "only reverse zones",
		"switchyard cluster.local {\n multicluster clusterset.local\n}":       "multicluster is not supported",
		"switchyard cluster.local {\n zonal\n}":                               "zonal is not supported",
		"switchyard cluster.local {\n podz\n}":                                `unknown property "podz"`,
		"switchyard cluster.local {\n pods sometimes\n}":                      "not one of",
		"switchyard cluster.local {\n pods\n}":                                "wrong number of arguments",
		"switchyard cluster.local {\n ttl 3601\n}":                            "not a number of seconds",
		"switchyard cluster.local {\n ttl -1\n}":                              "not a number of seconds",
		"switchyard cluster.local {\n ignore everything\n}":                   "not empty_service",
		"switchyard cluster.local {\n labels ==\n}":                           "labels",
		"switchyard cluster.local {\n namespaces a\n namespace_labels b=c\n}": "can not both be set",
		"switchyard cluster.local {\n startup_timeout soon\n}":                "startup_timeout",
		"switchyard cluster.local {\n endpoint_pod_names yes\n}":              "wrong number of arguments",
		"switchyard cluster.local\nswitchyard cluster.local":                  "once",
	} {
		if _, err := parse(caddy.NewTestController("dns", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", text, err, want)
		}
	}
}

func TestTheLongestZoneIsTaken(t *testing.T) {
	zones := []string{"cluster.local.", "a.cluster.local.", "10.in-addr.arpa.", "in-addr.arpa."} // neither order helps
	for name, want := range map[string]string{
		"web.shop.svc.cluster.local.": "cluster.local.",
		"cluster.local.":              "cluster.local.",
		"a.cluster.local.":            "a.cluster.local.",
		"b.a.cluster.local.":          "a.cluster.local.",
		"ba.cluster.local.":           "cluster.local.",
		"1.0.0.10.in-addr.arpa.":      "10.in-addr.arpa.",
		"1.0.0.110.in-addr.arpa.":     "in-addr.arpa.",
		`b\.a.cluster.local.`:         "cluster.local.",
		`b\\.a.cluster.local.`:        "a.cluster.local.",
		"xcluster.local.":             "",
		`x\.cluster.local.`:           "",
		"local.":                      "",
		".":                           "",
	} {
		if got := longest(zones, name); got != want || got != coreplugin.Zones(zones).Matches(name) {
			t.Errorf("%s is in %q, want %q; to CoreDNS %q", name, got, want, coreplugin.Zones(zones).Matches(name))
		}
		if got := longest([]string{"."}, name); got != "." {
			t.Errorf("%s is not in the root", name)
		}
	}
}
