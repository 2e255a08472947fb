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
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
)

// store writes objects where the API server keeps them, in the form that it
// writes itself. The API server takes ever longer to create a Service the more
// there are, as it counts all allocated addresses for a metric each time: 10,000
// Services would take more than a minute, 50,000 half an hour. What is measured
// is written through the API server.
type store struct {
	etcd *url.URL
}

// maxPuts is how many etcd takes at once.
const maxPuts = 128

// put is one object and its place.
type put struct {
	key    string
	object runtime.Object
}

// write stores puts, in a few transactions through etcd's JSON gateway.
func (s store) write(ctx context.Context, puts []put) error {
	serializer := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	type keyValue struct {
		Key   []byte `json:"key"`
		Value []byte `json:"value"`
	}
	type operation struct {
		Put keyValue `json:"requestPut"`
	}
	for len(puts) > 0 {
		n := min(len(puts), maxPuts)
		var transaction struct {
			Success []operation `json:"success"`
		}
		for _, put := range puts[:n] {
			var value bytes.Buffer
			if err := serializer.Encode(put.object, &value); err != nil {
				return fmt.Errorf("%s: %w", put.key, err)
			}
			transaction.Success = append(transaction.Success, operation{keyValue{[]byte("/registry/" + put.key), value.Bytes()}})
		}
		if err := s.post(ctx, "txn", transaction, nil); err != nil {
			return fmt.Errorf("writing to etcd: %w", err)
		}
		puts = puts[n:]
	}
	return nil
}

// keys are those of a range, as etcd's JSON gateway has them.
type keys struct {
	From  []byte `json:"key"`
	To    []byte `json:"range_end"`
	Count bool   `json:"count_only,omitempty"`
}

// below are the keys below a folder, which ends with a slash.
func below(folder string) keys {
	from := []byte("/registry/" + folder)
	to := bytes.Clone(from)
	to[len(to)-1]++
	return keys{From: from, To: to}
}

// remove deletes all objects below a folder.
func (s store) remove(ctx context.Context, folder string) error {
	if err := s.post(ctx, "deleterange", below(folder), nil); err != nil {
		return fmt.Errorf("deleting from etcd: %w", err)
	}
	return nil
}

// count is how many objects there are below a folder.
func (s store) count(ctx context.Context, folder string) (int, error) {
	question := below(folder)
	question.Count = true
	var answer struct {
		Count int `json:"count,string"`
	}
	if err := s.post(ctx, "range", question, &answer); err != nil {
		return 0, fmt.Errorf("reading etcd: %w", err)
	}
	return answer.Count, nil
}

// post sends one request; answer is nil where it does not matter.
func (s store) post(ctx context.Context, what string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.etcd.JoinPath("/v3/kv", what).String(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	if err != nil || answer == nil {
		return err
	}
	return json.Unmarshal(text, answer)
}
