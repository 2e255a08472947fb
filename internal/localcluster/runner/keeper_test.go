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
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	corev1 "k8s.io/api/core/v1"
	clocktesting "k8s.io/utils/clock/testing"
)

func TestAVolumeStaysWhenItsObjectsCanNotBeRead(t *testing.T) {
	now := time.Now()
	pod, dir, gone := podOf("main"), t.TempDir(), false
	var content string
	var until time.Time
	var failure error
	k := &volumeKeeper{
		content: func(context.Context, *corev1.Pod, *corev1.Volume) (payload, time.Time, error) {
			return payload{"file": {content: content, mode: usualMode}}, until, failure
		},
		latest: func() (*corev1.Pod, bool) { return pod, gone },
		clock:  clocktesting.NewFakeClock(now), log: testr.New(t),
		kept: map[string]*keptVolume{"v": {volume: &corev1.Volume{Name: "v"}, dir: dir}},
	}
	for _, step := range []struct {
		name, content string
		until         time.Time
		failure       error
		gone          bool
		want          string
		wantNext      time.Time
	}{
		{name: "a token is due in eight minutes", content: "1", until: now.Add(8 * time.Minute), want: "1", wantNext: now.Add(8 * time.Minute)},
		{name: "the object was deleted", content: "2", failure: errors.New("not found"), want: "1", wantNext: now.Add(10 * time.Second)},
		{name: "it is back", content: "3", want: "3"},
		{name: "the Pod is gone", content: "4", gone: true, want: "3"},
	} {
		content, until, failure, gone = step.content, step.until, step.failure, step.gone
		if next := k.updateAll(t.Context()); !next.Equal(step.wantNext) {
			t.Errorf("%s: looks again at %v, want %v", step.name, next, step.wantNext)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != step.want {
			t.Errorf("%s: the volume holds %q, %v; want %q", step.name, got, err, step.want)
		}
	}
}

// TestNothingWaitsForAVolumesObjects: the API server may be slow to tell of them.
func TestNothingWaitsForAVolumesObjects(t *testing.T) {
	pod, slow, quick := podOf("main"), filepath.Join(t.TempDir(), "slow"), filepath.Join(t.TempDir(), "quick")
	asked, answer := make(chan struct{}), make(chan struct{})
	k := &volumeKeeper{
		content: func(_ context.Context, _ *corev1.Pod, v *corev1.Volume) (payload, time.Time, error) {
			if v.Name == "slow" {
				close(asked)
				<-answer
			}
			return payload{"file": {mode: usualMode}}, time.Time{}, nil
		},
		latest: func() (*corev1.Pod, bool) { return pod, false },
		watch:  func(context.Context, *corev1.Pod, *corev1.Volume, func()) error { return nil },
		clock:  clocktesting.NewFakeClock(time.Now()), log: testr.New(t),
	}
	k.begin()
	k.kept["slow"] = &keptVolume{volume: &corev1.Volume{Name: "slow"}, dir: slow}
	updated, rest := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(updated)
		k.updateAll(t.Context())
	}()
	<-asked
	go func() {
		err := k.add(t.Context(), pod, &corev1.Volume{Name: "quick"}, quick)
		k.end()
		rest <- err
	}()
	select {
	case err := <-rest:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("another volume, or the end, waits")
	}
	close(answer)
	<-updated
	if _, err := os.Stat(filepath.Join(quick, "file")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(slow); !os.IsNotExist(err) {
		t.Errorf("a volume was written after the end: %v", err)
	}
}
