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

package app

import (
	"errors"
	"strings"
)

// parsed is a flag whose values a package of its own knows.
type parsed[T ~string] struct {
	value *T
	parse func(string) (T, error)
}

func (f parsed[T]) String() string {
	if f.value == nil {
		return ""
	}
	return string(*f.value)
}

func (f parsed[T]) Set(text string) error {
	value, err := f.parse(text)
	if err == nil {
		*f.value = value
	}
	return err
}

// onOff is a flag that reads on and off.
type onOff struct{ value *bool }

func (f onOff) String() string {
	if f.value != nil && *f.value {
		return "on"
	}
	return "off"
}

func (f onOff) Set(text string) error {
	switch strings.ToLower(text) {
	case "on", "true":
		*f.value = true
	case "off", "false":
		*f.value = false
	default:
		return errors.New("use on or off")
	}
	return nil
}
