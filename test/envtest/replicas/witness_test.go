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

package replicas

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

// hearing is what was said about one request, whatever became of it: warnings
// reach the client also with an error.
type hearing struct {
	mu       sync.Mutex
	warnings []string
}

type hearingKey struct{}

func listen(ctx context.Context) (context.Context, *hearing) {
	h := &hearing{}
	return context.WithValue(ctx, hearingKey{}, h), h
}

// ears are the client's.
type ears struct{}

// HandleWarningHeaderWithContext takes in one warning.
func (ears) HandleWarningHeaderWithContext(ctx context.Context, _ int, _, text string) {
	if h, ok := ctx.Value(hearingKey{}).(*hearing); ok {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.warnings = append(h.warnings, text)
	}
}

func (h *hearing) has(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, warning := range h.warnings {
		if strings.Contains(warning, text) {
			return true
		}
	}
	return false
}

const (
	answered = "a replica has answered"
	unjudged = "left the allocation to the API server" // the webhook's own warning
)

// judged says that a replica was asked and knew what to say.
func (h *hearing) judged() bool { return h.has(answered) && !h.has(unjudged) }

// speaking is a webhook server whose answers can be told from their absence.
type speaking struct{ webhook.Server }

// Register has the webhook say that it was asked.
func (s speaking) Register(path string, hook http.Handler) {
	if hook, ok := hook.(*webhook.Admission); ok {
		silent := hook.Handler
		hook.Handler = admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
			return silent.Handle(ctx, request).WithWarnings(answered)
		})
	}
	s.Server.Register(path, hook)
}
