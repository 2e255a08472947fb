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

package metrics

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	_ "switchyard.dev/switchyard/cmd/dns/app"     // registers its metrics
	_ "switchyard.dev/switchyard/cmd/manager/app" // registers its metrics
	"switchyard.dev/switchyard/controllers"
	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
	"switchyard.dev/switchyard/internal/discovery/plugin"
)

// oneService is a TrafficReader.
type oneService struct{}

func (oneService) ReadTraffic(context.Context) ([]health.ServiceTraffic, error) {
	return []health.ServiceTraffic{{Service: types.NamespacedName{Namespace: "default", Name: "web"}, Family: model.IPv4, Counted: true}}, nil
}

// ofNode is the registry of an agent with everything switched on.
func ofNode() registry {
	m := health.NewMetrics("test", model.IPv4)
	m.ServeTraffic(oneService{}, 1)
	m.ServeRoutes()
	m.ServeAnnouncements()
	m.CountRequests()
	return m.Registry().(registry)
}

// ofManager is the registry of controller-runtime, with what only --endpoints adds:
// the controllers are set up and not started.
func ofManager(t *testing.T) registry {
	t.Helper()
	mgr, err := ctrl.NewManager(&rest.Config{Host: "http://127.0.0.1:1"}, ctrl.Options{
		Metrics: server.Options{BindAddress: "0"},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) {
			return testrestmapper.TestOnlyStaticRESTMapper(clientgoscheme.Scheme), nil // there is no API server
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := controllers.SetupEndpoints(mgr, controllers.EndpointsAll, controllers.EndpointsOptions{}); err != nil {
		t.Fatal(err)
	}
	return ctrlmetrics.Registry.(registry)
}

// ofDNS is the one that CoreDNS serves, with what our plugin adds when it is set up.
func ofDNS(t *testing.T) registry {
	t.Helper()
	plugin.Register()
	setup, err := caddy.DirectiveAction("dns", plugin.Name)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	const nowhere = `{clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}], contexts: [{name: c, context: {cluster: c}}], current-context: c}`
	if err := os.WriteFile(kubeconfig, []byte(nowhere), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := setup(caddy.NewTestController("dns", "switchyard cluster.local {\nkubeconfig "+kubeconfig+"\n}")); err != nil {
		t.Fatal(err)
	}
	return prometheus.DefaultRegisterer.(registry)
}

// untold are the metrics that say what they are only with a value, which they have
// when the manager runs. The tests beside them see it.
var untold = map[string]string{
	"switchyard_allocator_allocated":                       "gauge",
	"switchyard_allocator_available":                       "gauge",
	"switchyard_manager_certificate_end_timestamp_seconds": "gauge",
	"switchyard_pool_numbers":                              "gauge",
	"switchyard_pools_uncounted":                           "gauge",
}

func TestThePageListsEveryMetric(t *testing.T) {
	page := documented(t)
	programs := map[string]registry{node: ofNode(), manager: ofManager(t), dns: ofDNS(t)}
	if len(page) != len(programs) {
		t.Errorf("the page has %d programs, want %d", len(page), len(programs))
	}
	for program, r := range programs {
		t.Run(program, func(t *testing.T) {
			found, err := registered(r)
			if err != nil {
				t.Fatal(err)
			}
			for name, m := range found {
				if kind, is := untold[name]; is && m.Type == "" {
					m.Type = kind
					found[name] = m
				}
			}
			if diff := cmp.Diff(page[program], found); diff != "" {
				t.Errorf("docs/metrics.md and the registry of the %s (-page +registry):\n%s", program, diff)
			}
		})
	}
}

// ofBIRD are its tables, not metrics.
var ofBIRD = map[string]bool{"switchyard_ipv4": true, "switchyard_ipv6": true}

// named are metrics that the code spells out.
var named = regexp.MustCompile(`"((?:switchyard|kubeproxy)_[a-z0-9_]*[a-z0-9])"`)

// TestTheCodeNamesNoOtherMetric finds one that is registered in a way that the test
// above does not go.
func TestTheCodeNamesNoOtherMetric(t *testing.T) {
	known := map[string]bool{}
	for _, rows := range documented(t) {
		for name := range rows {
			known[name] = true
		}
	}
	seen := 0
	for _, room := range []string{"allocator", "cmd", "controllers", "internal", "webhooks"} {
		err := filepath.WalkDir("../../"+room, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range named.FindAllSubmatch(text, -1) {
				if seen++; !known[string(match[1])] && !ofBIRD[string(match[1])] {
					t.Errorf("%s names %s, which docs/metrics.md does not list", path, match[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen == 0 {
		t.Error("no code names a metric")
	}
}
