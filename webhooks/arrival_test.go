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
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"switchyard.dev/switchyard/allocator"
)

func TestARequestSaysHowLongItsSenderWaits(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"":              2 * time.Second,
		"?timeout=3s":   2 * time.Second,
		"?timeout=30s":  20 * time.Second,
		"?timeout=1h":   20 * time.Second,
		"?timeout=2s":   1300 * time.Millisecond,
		"?timeout=0s":   2 * time.Second,
		"?timeout=-3s":  2 * time.Second,
		"?timeout=soon": 2 * time.Second,
	} {
		if got := allowance(httptest.NewRequest(http.MethodPost, "/validate"+query, nil)); got != want {
			t.Errorf("%q leaves %s, want %s", query, got, want)
		}
	}
}

func TestARequestIsJudgedForAsLongAsItAllows(t *testing.T) {
	v := Validation{World: stuck{&memory{}, nothing}}
	door := newFrontDoor(admission.WithValidator(scheme.Scheme, &ServiceValidator{v}), readingTurns(), v.refuse("Service"))
	web := `{"apiVersion":"v1","kind":"Service","metadata":{"namespace":"default","name":"web"},"spec":{"externalIPs":["192.0.2.1"],"ports":[{"port":80}]}}`
	request := httptest.NewRequest(http.MethodPost, "/?timeout=1500ms", bytes.NewReader(asked(admissionv1.Create, "", web)))
	request.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	door.ServeHTTP(recorder, request)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || review.Response == nil || review.Response.Allowed ||
		!strings.Contains(review.Response.Result.Message, "could not judge this within 1s") {
		t.Errorf("answered %s, %v", recorder.Body, err)
	}
}

// hurrying notes until when claims may be made.
type hurrying struct {
	client.Client
	deadline time.Time
}

func (h *hurrying) Create(ctx context.Context, object client.Object, options ...client.CreateOption) error {
	h.deadline, _ = ctx.Deadline()
	return h.Client.Create(ctx, object, options...)
}

func TestNumbersAreAllocatedForAsLongAsARequestAllows(t *testing.T) {
	a := newAllocationWorld().replica(t, allocator.Authoritative, twoPorts)
	noted := &hurrying{Client: a.Client}
	a.Client = noted
	came := arrival{at: time.Now(), allows: time.Hour}
	if response := a.Handle(withArrival(t.Context(), came), create(t, nodePortService("web", 30001), "admin")); !response.Allowed {
		t.Fatalf("response is %+v", response)
	}
	if want := came.at.Add(came.allows); !noted.deadline.Equal(want) {
		t.Errorf("claims may be made until %s, want %s", noted.deadline, want)
	}
}
