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

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// answeringBy has no answer waited for after that time. Whoever asks goes on without,
// and says what is missing.
func answeringBy(until time.Time, together time.Duration) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			ctx, cancel := context.WithDeadlineCause(request.Context(), until, lateError{together})
			response, err := next.RoundTrip(request.WithContext(ctx))
			if err != nil {
				defer cancel()
				if request.Context().Err() == nil && ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				return nil, err
			}
			response.Body = boundedBody{response.Body, ctx, cancel}
			return response, nil
		})
	}
}

// lateError tells of an answer that did not come in the time that there is for all.
type lateError struct{ together time.Duration }

// Error says how long that is.
func (e lateError) Error() string { return fmt.Sprintf("no answer within %v", e.together) }

// Timeout makes it one of time.
func (lateError) Timeout() bool { return true }

// boundedBody is one that has to come in time as well.
type boundedBody struct {
	io.ReadCloser
	ctx  context.Context
	done context.CancelFunc
}

// Read says of an end for want of time just that.
func (b boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if late, is := context.Cause(b.ctx).(lateError); is && err != nil && err != io.EOF {
		err = late
	}
	return n, err
}

// Close lets go of the clock, too.
func (b boundedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
