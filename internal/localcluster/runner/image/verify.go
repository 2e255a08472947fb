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

package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// verifier ends with an error instead of io.EOF if what was read has not the
// digest that it should.
type verifier struct {
	from io.Reader
	hash hash.Hash
	want string
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.from.Read(p)
	_, _ = v.hash.Write(p[:n])
	if errors.Is(err, io.EOF) {
		if got := "sha256:" + hex.EncodeToString(v.hash.Sum(nil)); got != v.want {
			return n, fmt.Errorf("blob %s is damaged: its digest is %s", v.want, got)
		}
	}
	return n, err
}

// bounded ends with an error once more was read than there may be.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, fmt.Errorf("the image has more than %d MiB", maxImage>>20)
	}
	return n, err
}
