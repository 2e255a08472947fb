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

package controllers

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
)

// legacyRecorder lets the EndpointSlice library, which knows only the core/v1
// event recorder, report through events.k8s.io/v1 like everything else here.
type legacyRecorder struct{ events events.EventRecorder }

var _ record.EventRecorder = legacyRecorder{}

// syncAction is the verb that events.k8s.io asks for and core/v1 has no word for.
const syncAction = "Sync"

// Event implements record.EventRecorder.
func (r legacyRecorder) Event(object runtime.Object, kind, reason, message string) {
	r.events.Eventf(object, nil, kind, reason, syncAction, "%s", boundedNote(message))
}

// longestNote is the most that the API server takes of events.k8s.io, in bytes
// (pkg/apis/core/validation, NoteLengthLimit); it refuses what is longer.
const longestNote = 1024

// boundedNote cuts a text between characters.
func boundedNote(text string) string {
	const dots = "..."
	if len(text) <= longestNote {
		return text
	}
	end := longestNote - len(dots)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return strings.TrimSpace(text[:end]) + dots
}

// Eventf implements record.EventRecorder.
func (r legacyRecorder) Eventf(object runtime.Object, kind, reason, format string, args ...any) {
	r.Event(object, kind, reason, fmt.Sprintf(format, args...))
}

// AnnotatedEventf implements record.EventRecorder; the annotations, which the
// library never sets, are dropped.
func (r legacyRecorder) AnnotatedEventf(object runtime.Object, _ map[string]string, kind, reason, format string, args ...any) {
	r.Eventf(object, kind, reason, format, args...)
}
