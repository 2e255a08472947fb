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

package agent

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"switchyard.dev/switchyard/internal/dataplane/health"
	"switchyard.dev/switchyard/internal/dataplane/model"
)

// named is web after its port got a name, because it got a second port.
func named() *corev1.Service {
	svc := makeService("web", "10.96.0.1", 80, tcp)
	svc.Spec.Ports[0].Name = "http"
	svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Name: "metrics", Port: 9090, Protocol: tcp})
	return svc
}

// namedSlice is what the EndpointSlice controller makes of that.
func namedSlice() *discoveryv1.EndpointSlice {
	eps := makeSlice("web", 8080, tcp, "10.0.0.1")
	name, metrics, number := "http", "metrics", int32(9000)
	eps.Ports[0].Name = &name
	eps.Ports = append(eps.Ports, discoveryv1.EndpointPort{Name: &metrics, Port: &number, Protocol: eps.Ports[0].Protocol})
	return eps
}

const (
	unnamedLine = "default/web/TCP 10.96.0.1:80 -> [10.0.0.1:8080]"
	httpLine    = "default/web:http/TCP 10.96.0.1:80 -> [10.0.0.1:8080]"
	metricsLine = "default/web:metrics/TCP 10.96.0.1:9090 -> [10.0.0.1:9000]"
	refusedLine = "default/web:http/TCP 10.96.0.1:80 -> []"
	noMetrics   = "default/web:metrics/TCP 10.96.0.1:9090 -> []"
)

// inRename runs test on a world where web has one unnamed port with an endpoint.
func inRename(t *testing.T, test func(context.Context, world)) {
	t.Helper()
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.1"))
		w.begin(ctx)
		synctest.Wait()
		w.v4.takeCalls()
		test(ctx, w)
		time.Sleep(time.Minute)
		synctest.Wait()
		if pending := w.lanes[model.IPv4].queue.pending; pending != (health.Pending{}) {
			t.Errorf("%+v are pending in the end", pending)
		}
	})
}

func TestARenamedPortNeverLosesItsEndpoints(t *testing.T) {
	halves := map[string]func(context.Context, world){
		"Service": func(ctx context.Context, w world) { w.setService(ctx, named()) },
		"slice":   func(ctx context.Context, w world) { w.setSlice(ctx, namedSlice()) },
	}
	for first, second := range map[string]string{"Service": "slice", "slice": "Service"} {
		t.Run(first+" first", func(t *testing.T) {
			inRename(t, func(ctx context.Context, w world) {
				halves[first](ctx, w)
				synctest.Wait()
				expect(t, "calls after the first half", w.v4.takeCalls(), nil)
				if pending := w.lanes[model.IPv4].queue.pending; pending != (health.Pending{Services: 1}) {
					t.Errorf("%+v are pending meanwhile", pending)
				}
				time.Sleep(20 * time.Millisecond)
				halves[second](ctx, w)
				synctest.Wait()
				expect(t, "calls after the second half", w.v4.takeCalls(), []string{"apply +2 -1"})
				expect(t, "table", w.v4.lines(), []string{httpLine, metricsLine})
				time.Sleep(time.Minute)
				expect(t, "calls later", w.v4.takeCalls(), nil)
			})
		})
	}
}

func TestARenameWithoutSlicesIsProgrammedAfterASecond(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		w.setService(ctx, named())
		time.Sleep(renamePatience / 2)
		again := named()
		again.Spec.Ports[1].Port = 9091 // gets no more time
		w.setService(ctx, again)
		w.setService(ctx, named())
		time.Sleep(renamePatience/2 - 1)
		expect(t, "table before", w.v4.lines(), []string{unnamedLine})
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		expect(t, "table after", w.v4.lines(), []string{refusedLine, noMetrics})
		w.setSlice(ctx, namedSlice())
		synctest.Wait()
		expect(t, "table when the slice comes at last", w.v4.lines(), []string{httpLine, metricsLine})
	})
}

func TestARenameHoldsNobodyElseBack(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		w.setService(ctx, named())
		w.setService(ctx, makeService("api", "10.96.0.2", 81, tcp))
		synctest.Wait()
		expect(t, "table", w.v4.lines(), []string{"default/api/TCP 10.96.0.2:81 -> []", unnamedLine})
	})
}

func TestLoadBalancersAreNotToldOfHalfARename(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		local := func(svc *corev1.Service) *corev1.Service {
			svc.Spec.Type = corev1.ServiceTypeLoadBalancer
			svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
			svc.Spec.HealthCheckNodePort = 32000
			return svc
		}
		here := func(eps *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice {
			eps.Endpoints[0].NodeName = &w.NodeName
			return eps
		}
		w.setService(ctx, local(makeService("web", "10.96.0.1", 80, tcp)))
		w.setSlice(ctx, here(makeSlice("web", 8080, tcp, "10.0.0.1")))
		w.begin(ctx)
		synctest.Wait()
		before := w.checks.serving()
		calls := w.checks.calls
		w.setService(ctx, local(named()))
		time.Sleep(20 * time.Millisecond)
		w.setSlice(ctx, here(namedSlice()))
		synctest.Wait()
		expect(t, "health checks", w.checks.serving(), before)
		if w.checks.calls != calls || len(before) != 1 {
			t.Errorf("%v changed %d times", before, w.checks.calls-calls)
		}
	})
}

func TestADeletionDoesNotWaitForARename(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		w.setService(ctx, named())
		synctest.Wait()
		w.deleteService(ctx, "default", "web")
		synctest.Wait()
		expect(t, "table", w.v4.lines(), nil)
	})
}

func TestARenameThatIsTakenBackLeavesNothingToDo(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		w.setService(ctx, named())
		synctest.Wait()
		w.setService(ctx, makeService("web", "10.96.0.1", 80, tcp))
		time.Sleep(time.Minute)
		expect(t, "calls", w.v4.takeCalls(), nil)
		expect(t, "table", w.v4.lines(), []string{unnamedLine})
	})
}

func TestAFullSyncEndsTheWaitForARename(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		w.setService(ctx, named())
		synctest.Wait()
		w.repair(model.IPv4)
		synctest.Wait()
		expect(t, "table", w.v4.lines(), []string{refusedLine, noMetrics})
		if pending := w.lanes[model.IPv4].queue.pending; pending != (health.Pending{}) {
			t.Errorf("%+v are pending after it", pending)
		}
		w.setSlice(ctx, namedSlice())
		synctest.Wait()
		expect(t, "table after the slice", w.v4.lines(), []string{httpLine, metricsLine})
		w.v4.takeCalls()
		time.Sleep(time.Minute)
		expect(t, "calls later", w.v4.takeCalls(), nil)
	})
}

func TestOnlyARenameWaits(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(context.Context, world)
		want   []string
	}{
		"the last endpoint goes": {
			func(ctx context.Context, w world) { w.setSlice(ctx, makeSlice("web", 8080, tcp)) },
			[]string{"default/web/TCP 10.96.0.1:80 -> []"},
		},
		"the last endpoint goes while the name changes": {
			func(ctx context.Context, w world) {
				eps := namedSlice()
				eps.Endpoints = nil
				w.setSlice(ctx, eps)
			},
			[]string{"default/web/TCP 10.96.0.1:80 -> []"},
		},
		"one of two ports loses its slice": {
			func(ctx context.Context, w world) {
				metrics := namedSlice()
				metrics.Name, metrics.Ports = "web-2", metrics.Ports[1:]
				w.setSlice(ctx, namedSlice())
				w.setService(ctx, named())
				w.setSlice(ctx, metrics)
				synctest.Wait()
				w.deleteSlice(ctx, "default", "web-1")
			},
			[]string{refusedLine, metricsLine},
		},
		"the last slice goes": {
			func(ctx context.Context, w world) { w.deleteSlice(ctx, "default", "web-1") },
			[]string{"default/web/TCP 10.96.0.1:80 -> []"},
		},
		"a port is added whose slices are to come": {
			func(ctx context.Context, w world) {
				svc := named()
				svc.Spec.Ports[0].Name = ""
				w.setService(ctx, svc)
			},
			[]string{unnamedLine, noMetrics},
		},
		"the new name's slice has no endpoints": {
			func(ctx context.Context, w world) {
				eps := namedSlice()
				eps.Endpoints, eps.Name = nil, "web-2"
				w.setSlice(ctx, eps)
				w.setService(ctx, named())
			},
			[]string{refusedLine, noMetrics},
		},
		"the old name had no endpoints": {
			func(ctx context.Context, w world) {
				w.deleteSlice(ctx, "default", "web-1")
				synctest.Wait()
				w.setSlice(ctx, namedSlice())
				svc := named()
				svc.Spec.Ports = svc.Spec.Ports[:1]
				svc.Spec.Ports[0].Name = "other"
				w.setService(ctx, svc)
			},
			[]string{"default/web:other/TCP 10.96.0.1:80 -> []"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inRename(t, func(ctx context.Context, w world) {
				tc.change(ctx, w)
				synctest.Wait()
				expect(t, "table at once", w.v4.lines(), tc.want)
			})
		})
	}
}

func TestARenameAtTheStartIsProgrammed(t *testing.T) {
	inWorld(t, func(ctx context.Context, w world) {
		w.setService(ctx, named())
		w.setSlice(ctx, makeSlice("web", 8080, tcp, "10.0.0.1"))
		w.begin(ctx)
		synctest.Wait()
		expect(t, "table", w.v4.lines(), []string{refusedLine, noMetrics})
	})
}

// What waits is not programmed, and must not be reported as if it were.
func TestAPostponedChangeIsReportedWhenItIsProgrammed(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		counts := func() (got []string) {
			for _, metric := range []string{
				"kubeproxy_sync_proxy_rules_duration_seconds", "kubeproxy_network_programming_duration_seconds", "switchyard_node_programming_duration_seconds",
			} {
				got = append(got, observed(t, w, metric))
			}
			return got
		}
		renamed := namedSlice()
		renamed.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().Format(time.RFC3339Nano)}
		time.Sleep(time.Millisecond)
		expect(t, "at first", counts(), []string{"1 0s", "0 0s", "1 0s"})
		w.setSlice(ctx, renamed)
		time.Sleep(20 * time.Millisecond)
		expect(t, "after the first half", counts(), []string{"1 0s", "0 0s", "1 0s"})
		w.setService(ctx, named())
		synctest.Wait()
		expect(t, "after the second half", counts(), []string{"2 0s", "1 21ms", "2 20ms"})
	})
}

func TestWhatIsProgrammedBesideAPostponedChangeIsReportedAtOnce(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		api := makeSlice("api", 8081, tcp, "10.0.0.9")
		renamed := namedSlice()
		for _, eps := range []*discoveryv1.EndpointSlice{api, renamed} {
			eps.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().Format(time.RFC3339Nano)}
		}
		w.setService(ctx, makeService("api", "10.96.0.2", 81, tcp))
		w.setSlice(ctx, api)
		w.setSlice(ctx, renamed)
		time.Sleep(20 * time.Millisecond)
		programmed := func() []string { return []string{observed(t, w, "kubeproxy_network_programming_duration_seconds")} }
		expect(t, "after the first half", programmed(), []string{"1 0s"})
		w.setService(ctx, named())
		synctest.Wait()
		expect(t, "after the second half", programmed(), []string{"2 20ms"})
	})
}

func TestAFullSyncReportsWhatWasPostponed(t *testing.T) {
	inRename(t, func(ctx context.Context, w world) {
		renamed := namedSlice()
		renamed.Annotations = map[string]string{corev1.EndpointsLastChangeTriggerTime: time.Now().Format(time.RFC3339Nano)}
		w.setSlice(ctx, renamed)
		time.Sleep(20 * time.Millisecond)
		w.repair(model.IPv4)
		synctest.Wait()
		expect(t, "programmed", []string{observed(t, w, "kubeproxy_network_programming_duration_seconds")}, []string{"1 20ms"})
	})
}

// observed prints how often a histogram of IPv4 was told something, and the sum.
func observed(t *testing.T, w world, metric string) string {
	t.Helper()
	answer := httptest.NewRecorder()
	health.MetricsMux(w.Metrics).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var count int
	var seconds float64
	for line := range strings.Lines(answer.Body.String()) {
		_, _ = fmt.Sscanf(line, metric+"_count{ip_family=\"IPv4\"} %d", &count)
		_, _ = fmt.Sscanf(line, metric+"_sum{ip_family=\"IPv4\"} %g", &seconds)
	}
	return fmt.Sprint(count, " ", time.Duration(math.Round(seconds*1e6))*time.Microsecond)
}
