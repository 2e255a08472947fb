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

package webhooks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// door is that of the webhook of Endpoints in a cluster with a pod of others.
func door(v Validation) *frontDoor {
	v.World = &memory{pods: []*corev1.Pod{at(pod("db"), "shop", "10.244.1.5")}}
	return newFrontDoor(admission.WithValidator(scheme.Scheme, EndpointsValidator(v)), readingTurns(), v.refuse("Endpoints"))
}

// padded are Endpoints at an address that are about this large, without adding
// anything that a rule looks at.
func padded(ip string, size int) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Endpoints","metadata":{"namespace":"default","name":"web","annotations":{"a":%q}},`+
		`"subsets":[{"addresses":[{"ip":%q}],"ports":[{"port":80}]}]}`, strings.Repeat("a", size), ip)
}

func TestLargeReviewsAreJudged(t *testing.T) {
	for name, tc := range map[string]struct {
		size   int
		ip     string
		audit  bool
		status int32
		says   string
	}{
		"small":                             {100, "10.244.1.5", false, http.StatusUnprocessableEntity, "rule X9"},
		"large":                             {ordinaryReview, "10.244.1.5", false, http.StatusUnprocessableEntity, "rule X9"},
		"larger than controller-runtime's":  {5 << 20, "10.244.1.5", false, http.StatusUnprocessableEntity, "rule X9"},
		"large, and fine":                   {5 << 20, "192.0.2.1", false, 0, ""},
		"too large":                         {maxReview / 2, "192.0.2.1", false, http.StatusRequestEntityTooLarge, "reviews of 20 MiB at most"},
		"too large, in the audit mode":      {maxReview / 2, "192.0.2.1", true, 0, "would be refused: Request entity too large: switchyard judges"},
		"large, by one who may not be seen": {5 << 20, "10.244.1.5", true, 0, "would be refused: subsets[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			response := put(t, door(Validation{Audit: tc.audit}), asked(admissionv1.Update, padded("192.0.2.1", tc.size), padded(tc.ip, tc.size)))
			said := strings.Join(response.Warnings, " ")
			code := int32(0)
			if !response.Allowed {
				code, said = response.Result.Code, response.Result.Message
			}
			if response.UID != "u" || code != tc.status || !strings.Contains(said, tc.says) {
				t.Errorf("for %q answered %d: %s", response.UID, code, said)
			}
		})
	}
}

// A value takes hundreds of bytes when it is decoded: this would be gigabytes.
func TestManyValuesAreNotDecoded(t *testing.T) {
	object := `{"apiVersion":"v1","kind":"Endpoints","metadata":{"namespace":"default","name":"web"},"subsets":[` +
		strings.Repeat("{},", 6<<20) + `{}]}`
	response := put(t, door(Validation{}), asked(admissionv1.Create, "", object))
	if response.Allowed || response.UID != "u" || response.Result.Code != http.StatusRequestEntityTooLarge ||
		!strings.Contains(response.Result.Message, "reviews of 700000 values at most") {
		t.Errorf("got %+v", response)
	}
}

func TestALargeReviewOfUnknownLengthIsJudged(t *testing.T) {
	hidden := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ContentLength = -1
		door(Validation{}).ServeHTTP(w, r)
	})
	if response := put(t, hidden, asked(admissionv1.Create, "", padded("10.244.1.5", 100))); response.Allowed || response.UID != "u" {
		t.Errorf("got %+v", response)
	}
}

func TestWhoSendsManyLargeReviewsWaitsForHimself(t *testing.T) {
	ask := func(v Validation, namespace string, refused bool, busy ...string) *admissionv1.AdmissionResponse {
		d := door(v)
		d.patience = time.Hour
		for _, other := range busy {
			defer d.lanes.take(t.Context(), other, math.MaxInt)()
		}
		if refused {
			d.patience = 50 * time.Millisecond
		}
		large := strings.Replace(padded("192.0.2.1", ordinaryReview), `"default"`, `"`+namespace+`"`, 1)
		body := strings.Replace(string(asked(admissionv1.Create, "", large)), `"namespace":"default","operation"`, `"namespace":"`+namespace+`","operation"`, 1)
		response := put(t, d, []byte(body))
		return &response
	}
	for name, tc := range map[string]struct {
		busy    []string
		refused bool
	}{
		"nobody else does":              {nil, false},
		"another namespace does":        {[]string{"other"}, false},
		"as many as are read at a time": {[]string{"other", "another"}, true},
		"oneself":                       {[]string{"mine"}, true},
	} {
		response := ask(Validation{}, "mine", tc.refused, tc.busy...)
		if response.UID != "u" || response.Allowed == tc.refused || tc.refused && response.Result.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: got %+v", name, response)
		}
	}
	audited := ask(Validation{Audit: true}, "mine", true, "mine")
	if !audited.Allowed || !slices.ContainsFunc(audited.Warnings, func(w string) bool { return strings.HasPrefix(w, auditPrefix) }) {
		t.Errorf("in the audit mode: got %+v", audited)
	}
}

func TestWhoSendsSlowlyKeepsNoTurn(t *testing.T) {
	d := door(Validation{})
	d.patience = 500 * time.Millisecond
	server := httptest.NewServer(d)
	defer server.Close()
	start, stop := io.Pipe()
	defer func() { _ = stop.Close() }()
	go func() {
		_, _ = stop.Write(asked(admissionv1.Create, "", padded("192.0.2.1", ordinaryReview))[:2*headSize])
	}()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, start)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = ordinaryReview + 1
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&review); err != nil || review.Response == nil || review.Response.Allowed || review.Response.UID != "u" {
		t.Errorf("got %+v, %v", review.Response, err)
	}
	d.lanes.take(t.Context(), "default", math.MaxInt)()
}

// A connection whose time to read is over cancels its request, which then looks as
// if the API server had hung up.
func TestTheTimeToReadIsNotTheTimeToJudge(t *testing.T) {
	v := Validation{World: stuck{&memory{}, nothing}, patience: 500 * time.Millisecond}
	d := newFrontDoor(admission.WithValidator(scheme.Scheme, &ServiceValidator{v}), readingTurns(), v.refuse("Service"))
	d.patience = 50 * time.Millisecond
	server := httptest.NewServer(d)
	defer server.Close()
	large := fmt.Sprintf(`{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"default","name":"web","annotations":{"a":%q}},`+
		`"spec":{"externalIPs":["203.0.113.7"],"ports":[{"port":80}]}}`, strings.Repeat("a", ordinaryReview))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, bytes.NewReader(asked(admissionv1.Create, "", large)))
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(response.Body).Decode(&review); err != nil || review.Response == nil || review.Response.Allowed {
		t.Errorf("got %+v, %v", review.Response, err)
	}
}

func TestTheAllocatorLeavesAloneWhatItDoesNotRead(t *testing.T) {
	response := leaveAlone(t.Context(), head{}, tooLate(usualTime))
	if !response.Allowed || len(response.Patches) > 0 || len(response.Warnings) != 1 {
		t.Errorf("got %+v", response)
	}
}

// The API server gives up three seconds after it began to send.
func TestTheTimeToJudgeBeginsWithTheRequest(t *testing.T) {
	v := Validation{World: stuck{&memory{}, nothing}, patience: time.Hour}
	late := withArrival(t.Context(), arrival{at: time.Now().Add(-2 * time.Hour)})
	if _, err := (&ServiceValidator{v}).ValidateCreate(late, service("web", external("203.0.113.7"))); err == nil || !strings.Contains(err.Error(), "could not judge this within") {
		t.Errorf("got %v", err)
	}
}

func TestTheHeadOfAReview(t *testing.T) {
	whole := string(asked(admissionv1.Update, padded("192.0.2.1", 3*headSize), padded("192.0.2.1", 3*headSize)))
	for name, tc := range map[string]struct {
		text string
		want head
	}{
		"of a large one":        {whole, head{"u", "default", admissionv1.Update}},
		"cut off":               {whole[:200], head{UID: "u"}},
		"in another order":      {`{"request":{"object":{},"uid":"u"}}`, head{}},
		"the object's own":      {`{"request":{"uid":"u","object":{"uid":"v","namespace":"w"},"uid":"x"}}`, head{UID: "u"}},
		"a uid of another type": {`{"request":{"uid":7,"namespace":"a"}}`, head{}},
		"a list":                {`[{"request":{"uid":"u"}}]`, head{}},
		"nothing":               {"", head{}},
	} {
		if got := readHead(bufio.NewReaderSize(strings.NewReader(tc.text), headSize)); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}
