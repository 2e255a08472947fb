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
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// faults is a bad connection between a manager and the API server.
type faults struct {
	mu sync.Mutex
	// refuse answers a write of endpoints with a status instead of sending it, or
	// with 0 sends it, or with lost sends it and keeps the answer. It is told how
	// many writes there were before.
	refuse func(writes int) int
	writes int
	// namespace is the only one whose writes are refused and counted; "" is all.
	namespace string
	// requests counts what is asked for, by verb and resource.
	requests map[string]int
	// dead is a process that has lost its leadership: nothing gets through.
	dead bool
	// blind are the resources that can neither be listed nor watched.
	blind []string
	// late are the resources of which the API server has forgotten what was before.
	late    []string
	watches map[string][]io.Closer
}

// lost is no status: the write is made, and who made it does not hear of it.
const lost = -1

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
		return nil, errors.New("nothing gets through")
	}
	if status > 0 {
		return answer(request, status), nil
	}
	response, err := next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if status == lost {
		_ = response.Body.Close()
		return nil, io.ErrUnexpectedEOF
	}
	if request.URL.Query().Get("watch") != "" {
		f.set(func(f *faults) { f.opened(path.Base(request.URL.Path), response.Body) })
	}
	return response, nil
}

func (f *faults) opened(resource string, body io.Closer) {
	if f.watches == nil {
		f.watches = map[string][]io.Closer{}
	}
	f.watches[resource] = append(f.watches[resource], body)
}

// writesEndpoints tells the writes that are counted.
func writesEndpoints(request *http.Request) bool {
	path := request.URL.Path
	return request.Method != http.MethodGet && (strings.Contains(path, "/endpointslices") || strings.Contains(path, "/endpoints"))
}

func (f *faults) verdict(request *http.Request) (status int, dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	resource, query := path.Base(request.URL.Path), request.URL.Query()
	if f.requests != nil {
		f.requests[request.Method+" "+resource]++
	}
	switch {
	case f.dead:
		return 0, true
	case request.Method == http.MethodGet && slices.Contains(f.blind, resource):
		return 0, true
	case request.Method == http.MethodGet && slices.Contains(f.late, resource):
		f.late = slices.DeleteFunc(f.late, func(name string) bool { return name == resource })
		if query.Get("watch") != "" && query.Get("sendInitialEvents") == "" {
			return http.StatusGone, false
		}
		return 0, false
	case !writesEndpoints(request), f.namespace != "" && !strings.Contains(request.URL.Path, "/namespaces/"+f.namespace+"/"):
		return 0, false
	}
	if f.refuse != nil {
		status = f.refuse(f.writes)
	}
	f.writes++
	return status, f.dead && status != lost
}

// answer is the API server's, of a status.
func answer(request *http.Request, code int) *http.Response {
	reasons := map[int]metav1.StatusReason{
		http.StatusConflict: metav1.StatusReasonConflict, http.StatusTooManyRequests: metav1.StatusReasonTooManyRequests,
		http.StatusInternalServerError: metav1.StatusReasonInternalError, http.StatusGone: metav1.StatusReasonExpired,
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

func (f *faults) written() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// asked are the requests of a verb, by resource.
func (f *faults) asked(verb string) map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]int{}
	for name, count := range f.requests {
		if resource, is := strings.CutPrefix(name, verb+" "); is {
			found[resource] = count
		}
	}
	return found
}

// dropWatches cuts the watches of a resource, or all without a name; whoever had
// one asks again, from where it was.
func (f *faults) dropWatches(resource ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, bodies := range f.watches {
		if len(resource) > 0 && !slices.Contains(resource, name) {
			continue
		}
		for _, body := range bodies {
			_ = body.Close()
		}
		delete(f.watches, name)
	}
}

// hide cuts the watches of a resource for good, until show.
func (f *faults) hide(resource string) {
	f.set(func(f *faults) { f.blind = append(f.blind, resource) })
	f.dropWatches(resource)
}

// show ends hide. The API server does not know any more what happened since: the
// resource has to be listed, and what is not there was deleted at some time.
func (f *faults) show() {
	f.set(func(f *faults) { f.late, f.blind = f.blind, nil })
}

// forgotten are the resources of which nobody has asked yet what was before.
func (f *faults) forgotten() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.late)
}
