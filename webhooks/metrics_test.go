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
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

func TestRequestsAreCountedByHowTheyEnd(t *testing.T) {
	count := func(result string) float64 {
		return testutil.ToFloat64(requestsCounter.WithLabelValues("Service", "create", result))
	}
	ctx := admission.NewContextWithRequest(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{Operation: admissionv1.Create}})
	broken := &memory{broken: true}
	for result, v := range map[string]*ServiceValidator{
		resultAllowed:  {Validation{World: reserved, Severities: Severities{"X3": Off}}},
		resultWarned:   {Validation{World: reserved, Severities: Severities{"X3": Warn}}},
		resultDenied:   {Validation{World: reserved}},
		resultAudited:  {Validation{World: reserved, Audit: true}},
		resultUnjudged: {Validation{World: broken}},
	} {
		before := count(result)
		_, _ = v.ValidateCreate(ctx, service("web", external("10.96.0.1")))
		if got := count(result) - before; got != 1 {
			t.Errorf("%s: counted %v times", result, got)
		}
	}
	if got := testutil.CollectAndCount(durationHistogram, "switchyard_admission_duration_seconds"); got == 0 {
		t.Error("no duration was observed")
	}
}
