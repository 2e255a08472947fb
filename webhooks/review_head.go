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

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/types"
)

// headSize is more than a review has before the user and the object.
const headSize = 8 << 10

// head is what an answer takes that does not read the object. The API server
// writes these fields first.
type head struct {
	UID       types.UID
	Namespace string
	Operation admissionv1.Operation
}

// readHead looks at what comes first and leaves it to be read.
func readHead(body *bufio.Reader) (h head) {
	first, _ := body.Peek(headSize) // what there is of it
	decoder := json.NewDecoder(bytes.NewReader(first))
	if !enters(decoder) {
		return h
	}
	for decoder.More() {
		switch key, _ := decoder.Token(); key {
		case "request":
			h.read(decoder)
			return h
		default:
			if skip(decoder) != nil {
				return h
			}
		}
	}
	return h
}

func (h *head) read(decoder *json.Decoder) {
	if !enters(decoder) {
		return
	}
	for decoder.More() {
		var err error
		switch key, _ := decoder.Token(); key {
		case "uid":
			err = decoder.Decode(&h.UID)
		case "namespace":
			err = decoder.Decode(&h.Namespace)
		case "operation":
			err = decoder.Decode(&h.Operation)
		case "userInfo", "object", "oldObject":
			return
		default:
			err = skip(decoder)
		}
		if err != nil {
			return
		}
	}
}

func enters(decoder *json.Decoder) bool {
	token, err := decoder.Token()
	return err == nil && token == json.Delim('{')
}

func skip(decoder *json.Decoder) error {
	var value json.RawMessage
	return decoder.Decode(&value)
}
