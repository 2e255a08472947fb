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

package endpoints

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// faults is a bad connection between a manager and the API server.
type faults struct {
	mu sync.Mutex
	// refuse answers a write of endpoints with a status instead of sending it, or
	// with 0 sends it. It is told how many writes there were before.
	refuse func(writes int) int
	writes int
	// dead is a process that has lost its leadership: nothing gets through.
	dead    bool
	watches []io.Closer
}

func (f *faults) config() *rest.Config {
	config := rest.CopyConfig(restConfig)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) { return f.trip(next, request) })
	})
	return config
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func (f *faults) trip(next http.RoundTripper, request *http.Request) (*http.Response, error) {
	status, dead := f.verdict(request)
	if dead {
		return nil, errors.New("this process is dead")
	}
	if status != 0 {
		return answer(request, status), nil
	}
	response, err := next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") != "" {
		f.mu.Lock()
		f.watches = append(f.watches, response.Body)
		f.mu.Unlock()
	}
	return response, err
}

func (f *faults) verdict(request *http.Request) (status int, dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := request.URL.Path
	if request.Method == http.MethodGet || !strings.Contains(path, "/endpointslices") && !strings.Contains(path, "/endpoints") {
		return 0, f.dead
	}
	if f.refuse != nil {
		status = f.refuse(f.writes)
	}
	f.writes++
	return status, f.dead
}

// answer is the API server's, of a status.
func answer(request *http.Request, code int) *http.Response {
	reasons := map[int]metav1.StatusReason{
		http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
		http.StatusInternalServerError: metav1.StatusReasonInternalError,
	}
	body, _ := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reasons[code], Message: "injected",
	})
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)),
	}
}

func (f *faults) set(change func(*faults)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// dropWatches cuts every watch; whoever had one lists again.
func (f *faults) dropWatches() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, body := range f.watches {
		_ = body.Close()
	}
	f.watches = nil
}

// observer watches all slices of a Service, as proxies do.
type observer struct {
	slices map[string]*discoveryv1.EndpointSlice
	// steady are the addresses that no slice may lose.
	steady map[string]bool
	faults []string
}

// observe begins when all is well. At the end of the spec nothing may have gone amiss.
func (s scene) observe(service string, steady ...string) {
	GinkgoHelper()
	clientset, err := kubernetes.NewForConfig(restConfig)
	Expect(err).NotTo(HaveOccurred())
	slices := clientset.DiscoveryV1().EndpointSlices(s.namespace)
	selector := discoveryv1.LabelServiceName + "=" + service
	list, err := slices.List(s, metav1.ListOptions{LabelSelector: selector})
	Expect(err).NotTo(HaveOccurred())
	o := &observer{slices: map[string]*discoveryv1.EndpointSlice{}, steady: map[string]bool{}}
	for _, address := range steady {
		o.steady[address] = true
	}
	for i := range list.Items {
		o.slices[list.Items[i].Name] = &list.Items[i]
	}
	events, err := slices.Watch(s, metav1.ListOptions{LabelSelector: selector, ResourceVersion: list.ResourceVersion})
	Expect(err).NotTo(HaveOccurred())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range events.ResultChan() {
			o.see(event)
		}
	}()
	DeferCleanup(func() {
		events.Stop()
		<-done
		Expect(o.faults).To(BeEmpty())
	})
}

func (o *observer) see(event watch.Event) {
	slice, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	if event.Type == watch.Deleted {
		delete(o.slices, slice.Name)
	} else {
		o.slices[slice.Name] = slice
		if len(slice.Endpoints) == 0 {
			o.faults = append(o.faults, "slice "+slice.Name+" is empty")
		}
	}
	missing := map[string]bool{}
	for address := range o.steady {
		missing[address] = true
	}
	for _, slice := range o.slices {
		for _, e := range slice.Endpoints {
			if stateOf(e.Conditions) == up {
				delete(missing, e.Addresses[0])
			}
		}
	}
	if len(missing) > 0 {
		o.faults = append(o.faults, fmt.Sprintf("after %s of %s no slice has %v ready", event.Type, slice.Name, missing))
	}
}

// crowd is a Service with pods 1 to n, which are as many endpoints.
func (s scene) crowd(n int) (steady []string) {
	GinkgoHelper()
	s.service("web")
	for i := 1; i <= n; i++ {
		s.pod(fmt.Sprint("web-", i), "web", fmt.Sprint(i))
		steady = append(steady, fmt.Sprint("10.1.0.", i))
	}
	Eventually(s.endpoints("web")).Should(HaveLen(n))
	return steady
}

// relabel has every slice of the Service written.
func (s scene) relabel(value string) {
	GinkgoHelper()
	s.updateService("web", func(service *corev1.Service) { service.Labels["team"] = value })
}

func (s scene) teams() map[string]int {
	GinkgoHelper()
	found := map[string]int{}
	for _, slice := range s.slices("web") {
		found[slice.Labels["team"]]++
	}
	return found
}
