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
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const (
	// ordinaryReview is the size up to which reviews are read as they come. An
	// update of a slice with all its thousand endpoints takes about as much.
	ordinaryReview = 1 << 20
	// maxReview is more than a review of the largest objects that etcd stores: 1.5
	// MiB there are six times that in JSON where each character is escaped, and an
	// update has the object twice.
	maxReview = 20 << 20
	// maxValues are more than there are in a review of the largest objects that etcd
	// stores: 600,000 where an update has 99,000 ports before and after. Each takes up
	// to 500 bytes when it is decoded, however few it takes in JSON, and who reaches
	// the manager without the API server may send what no server would store.
	maxValues = 700_000
	// readAtOnce are the large reviews that are read and judged at the same time.
	readAtOnce = 2
	// sendingTime is how long the sender of one may take, whatever he says that he
	// allows us: who reaches the manager without the API server may say anything.
	sendingTime = usualTime
)

// frontDoor is in front of a webhook. Reading and decoding a large review takes
// longer than judging it, and an error or a late answer to the API server lets a
// change pass. So large ones are read in turns, a namespace at a time, and what
// has to wait for too long is answered from its first bytes.
type frontDoor struct {
	hook  *admission.Webhook
	lanes *turns
	// instead answers what is not read.
	instead func(context.Context, head, error) admission.Response
	// patience is how long one waits for a turn: half of what the request allows
	// unless set, as the rest is for reading and judging.
	patience time.Duration
}

// newFrontDoor has all that lanes let in at a time in common with others that have
// the same.
func newFrontDoor(hook *admission.Webhook, lanes *turns, instead func(context.Context, head, error) admission.Response) *frontDoor {
	return &frontDoor{hook: hook, lanes: lanes, instead: instead}
}

// readingTurns are those of large reviews.
func readingTurns() *turns {
	return &turns{lanes: map[string]*lane{}, all: make(chan struct{}, readAtOnce)}
}

// ServeHTTP implements http.Handler.
func (f *frontDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived := time.Now()
	r = r.WithContext(withArrival(r.Context(), arrival{at: arrived, allows: allowance(r)}))
	if r.ContentLength >= 0 && r.ContentLength <= ordinaryReview {
		f.hook.ServeHTTP(w, r)
		return
	}
	// Who sends slowly would keep a turn from others. It is the time to read alone:
	// net/http takes the deadline away at the end of the body.
	_ = http.NewResponseController(w).SetReadDeadline(arrived.Add(cmp.Or(2*f.patience, sendingTime)))
	body := bufio.NewReaderSize(r.Body, headSize)
	head := readHead(body)
	response := f.inTurn(r.Context(), head, body)
	response.UID = head.UID
	review := admissionv1.AdmissionReview{Response: &response.AdmissionResponse}
	review.SetGroupVersionKind(admissionv1.SchemeGroupVersion.WithKind("AdmissionReview"))
	// A caller that still writes may miss an answer.
	_, _ = io.Copy(io.Discard, io.LimitReader(body, 3*maxReview))
	if err := json.NewEncoder(w).Encode(review); err != nil {
		ctrl.LoggerFrom(r.Context()).Error(err, "Could not answer a large review")
	}
}

// inTurn reads the review and has it answered when it is its turn.
func (f *frontDoor) inTurn(ctx context.Context, head head, body io.Reader) admission.Response {
	waiting, cancel := context.WithTimeout(ctx, cmp.Or(f.patience, allowedBy(ctx)/2))
	defer cancel()
	defer f.lanes.take(waiting, head.Namespace, math.MaxInt)()
	if waiting.Err() != nil {
		return f.instead(ctx, head, tooLate(allowedBy(ctx)))
	}
	request, err := readReview(body)
	if err != nil {
		return f.instead(ctx, head, err)
	}
	return f.hook.Handle(ctx, request)
}

func readReview(body io.Reader) (admission.Request, error) {
	text, err := io.ReadAll(io.LimitReader(body, maxReview+1))
	if err != nil {
		return admission.Request{}, apierrors.NewBadRequest("switchyard could not read the review: " + err.Error())
	}
	if len(text) > maxReview {
		return admission.Request{}, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
			"switchyard judges reviews of %d MiB at most, so this is refused: make the object smaller, or delete it", maxReview>>20))
	}
	if values := bytes.Count(text, []byte{','}); values > maxValues {
		return admission.Request{}, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
			"switchyard judges reviews of %d values at most, and this has %d, so it is refused: make the object smaller, or delete it", maxValues, values))
	}
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(text, &review); err != nil || review.Request == nil {
		return admission.Request{}, apierrors.NewBadRequest("switchyard could not read the review: it is none")
	}
	return admission.Request{AdmissionRequest: *review.Request}, nil
}

// tooLate is the refusal of what our own time was not enough for.
func tooLate(patience time.Duration) error {
	return apierrors.NewServiceUnavailable(fmt.Sprintf(
		"switchyard could not judge this within %s, so it is refused: add fewer addresses and ports at a time, or try again", patience))
}

// leaveAlone is for the webhook that allocates: what it has not read the API server
// allocates, and the validators judge.
func leaveAlone(ctx context.Context, head head, err error) admission.Response {
	ctrl.LoggerFrom(ctx).Error(err, "Left the numbers of a large change alone", "namespace", head.Namespace)
	return admission.Allowed("").WithWarnings("switchyard left the allocation to the API server; the manager's log says why")
}

// refuse denies what was not read, or only warns in the audit mode: otherwise who
// sends enough at a time would escape every rule.
func (v *Validation) refuse(kind string) func(context.Context, head, error) admission.Response {
	return func(ctx context.Context, head head, err error) admission.Response {
		ctrl.LoggerFrom(ctx).Error(err, "Did not read a large change", "kind", kind, "namespace", head.Namespace, "refused", !v.Audit)
		if head.Operation == admissionv1.Create || head.Operation == admissionv1.Update {
			countRequest(kind, head.Operation, resultUnjudged, time.Since(arrivalOf(ctx)))
		}
		if v.Audit {
			return admission.Allowed("").WithWarnings(auditPrefix + err.Error())
		}
		response := admission.Denied(err.Error())
		if status := apierrors.APIStatus(nil); errors.As(err, &status) {
			*response.Result = status.Status()
		}
		return response
	}
}
