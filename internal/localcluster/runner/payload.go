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

package runner

import (
	"fmt"
	"maps"
	"os"

	corev1 "k8s.io/api/core/v1"
)

// payload is the content of a volume that is made of objects, by path.
type payload map[string]volumeFile

// volumeFile is one file; user is nil if the node's own is to own it.
type volumeFile struct {
	content string
	mode    os.FileMode
	user    *int64
}

// usualMode is that of files for which no other is asked.
const usualMode = 0o644

func (p payload) equal(other payload) bool {
	return maps.EqualFunc(p, other, func(a, b volumeFile) bool { return a.content == b.content && a.mode == b.mode })
}

// reader reads one object's keys.
type reader func(name string) (map[string]string, error)

// add takes keys of an object, all or those chosen.
func (p payload) add(read reader, kind, name string, items []corev1.KeyToPath, optional *bool, mode *int32) error {
	data, err := lookUp(read, kind, name, optional)
	if err != nil {
		return err
	}
	if len(items) == 0 {
		for key, value := range data {
			p[key] = volumeFile{content: value, mode: fileMode(mode)}
		}
	}
	for _, item := range items {
		value, ok := data[item.Key]
		if !ok && !isTrue(optional) {
			return fmt.Errorf("%s %s has no key %s", kind, name, item.Key)
		}
		if ok {
			p[item.Path] = volumeFile{content: value, mode: fileMode(item.Mode, mode)}
		}
	}
	return nil
}

// addFields takes fields of the Pod.
func (p payload) addFields(source envSource, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		if item.FieldRef == nil {
			continue
		}
		value, err := fieldValue(source, item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		p[item.Path] = volumeFile{content: value, mode: fileMode(item.Mode, mode)}
	}
	return nil
}

// addToken takes a token, which nobody but the containers' user may read; if the
// manifest does not say who that is, everybody.
func (p payload) addToken(path, token string, pod *corev1.Pod, mode *int32) {
	file := volumeFile{content: token, mode: fileMode(mode), user: volumeUser(pod)}
	if file.user != nil || volumeGroup(pod) != nil {
		file.mode = 0o600
	}
	p[path] = file
}

func fileMode(modes ...*int32) os.FileMode {
	if mode := first(modes...); mode != nil {
		return os.FileMode(*mode)
	}
	return usualMode
}
