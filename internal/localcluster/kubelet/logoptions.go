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

package kubelet

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// parseLogOptions reads what the API server passes on of a request for a log.
// Its own decoder is not part of the published API.
func parseLogOptions(query url.Values) (*corev1.PodLogOptions, error) {
	p := queryParser{query: query}
	options := &corev1.PodLogOptions{
		Follow:       p.boolean("follow"),
		Previous:     p.boolean("previous"),
		Timestamps:   p.boolean("timestamps"),
		SinceSeconds: p.number("sinceSeconds", 1),
		TailLines:    p.number("tailLines", 0),
		LimitBytes:   p.number("limitBytes", 1),
		SinceTime:    p.time("sinceTime"),
	}
	if stream := query.Get("stream"); stream != "" {
		options.Stream = &stream
		if stream != corev1.LogStreamAll && stream != corev1.LogStreamStdout && stream != corev1.LogStreamStderr {
			p.fail("stream", "must be All, Stdout or Stderr")
		}
	}
	if p.err != nil {
		return nil, BadRequestError(p.err.Error())
	}
	return options, nil
}

// queryParser keeps the first error.
type queryParser struct {
	query url.Values
	err   error
}

func (p *queryParser) fail(name, reason string) {
	if p.err == nil {
		p.err = fmt.Errorf("log option %s=%q %s", name, p.query.Get(name), reason)
	}
}

func (p *queryParser) boolean(name string) bool {
	text := p.query.Get(name)
	if text == "" {
		return false
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		p.fail(name, "must be true or false")
	}
	return value
}

func (p *queryParser) number(name string, least int64) *int64 {
	text := p.query.Get(name)
	if text == "" {
		return nil
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < least {
		p.fail(name, fmt.Sprintf("must be a number of at least %d", least))
	}
	return &value
}

func (p *queryParser) time(name string) *metav1.Time {
	text := p.query.Get(name)
	if text == "" {
		return nil
	}
	value, err := time.Parse(time.RFC3339, text)
	if err != nil {
		p.fail(name, "must be a time as in RFC 3339")
	}
	return &metav1.Time{Time: value}
}
