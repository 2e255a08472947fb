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
	"context"
	"net/http"
	"time"
)

const (
	// usualWait is the timeoutSeconds of our webhooks, and longestWait the most that
	// there may be.
	usualWait   = 3 * time.Second
	longestWait = 30 * time.Second
	// usualTime is what a request allows that does not say how long its sender waits.
	usualTime = usualWait * 2 / 3
)

// arrival is when the API server's request came in, and for how long from then on
// it is worth working on: that time goes on while we read it.
type arrival struct {
	at     time.Time
	allows time.Duration
}

type arrivalKey struct{}

func withArrival(ctx context.Context, a arrival) context.Context {
	return context.WithValue(ctx, arrivalKey{}, a)
}

func arrivalOf(ctx context.Context) time.Time {
	if a, ok := ctx.Value(arrivalKey{}).(arrival); ok {
		return a.at
	}
	return time.Now()
}

func allowedBy(ctx context.Context) time.Duration {
	if a, ok := ctx.Value(arrivalKey{}).(arrival); ok {
		return a.allows
	}
	return usualTime
}

// allowance is the time that a request leaves us. The API server says in its URL how
// long it waits: the webhook's timeoutSeconds, or what is left of the request that
// it asks about (k8s.io/apiserver/pkg/admission/plugin/webhook, the dispatchers). A
// third of that is for the answer: saying why is worth more than being cut off.
func allowance(r *http.Request) time.Duration {
	waits, err := time.ParseDuration(r.URL.Query().Get("timeout"))
	if err != nil || waits <= 0 {
		return usualTime
	}
	return (min(waits, longestWait) * 2 / 3).Truncate(100 * time.Millisecond)
}
