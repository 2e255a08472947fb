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
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// volumeKeeper keeps a Pod's volumes as the objects that they are made of: it
// writes them when one of these changes, and tokens before they expire. A kubelet
// does so within a minute or two, this one at once.
type volumeKeeper struct {
	content volumeContent
	latest  func() (*corev1.Pod, bool)
	clock   clock.Clock
	log     logr.Logger
	// watch calls the function whenever an object of the volumes changes, until
	// ctx ends.
	watch func(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, changed func()) error

	noted   *corev1.Pod // its worker's
	changed chan struct{}
	ctx     context.Context
	stop    context.CancelFunc

	mu   sync.Mutex // held while volumes are written, not while objects are read
	kept map[string]*keptVolume
}

// volumeContent reads what a volume is to hold, and until when that is good; the
// zero time is forever.
type volumeContent func(ctx context.Context, pod *corev1.Pod, v *corev1.Volume) (payload, time.Time, error)

// keptVolume is one volume and what it holds.
type keptVolume struct {
	volume *corev1.Volume
	dir    string
	holds  payload
}

func (k *volumeKeeper) begin() {
	k.changed = make(chan struct{}, 1)
	k.kept = map[string]*keptVolume{}
	k.ctx, k.stop = context.WithCancel(context.Background())
}

// add writes a volume for the first time, and keeps it from then on. It is its
// worker's alone to call.
func (k *volumeKeeper) add(ctx context.Context, pod *corev1.Pod, v *corev1.Volume, dir string) error {
	k.mu.Lock()
	known := k.kept[v.Name] != nil
	k.mu.Unlock()
	if known {
		return nil
	}
	wanted, _, err := k.content(ctx, pod, v)
	if err != nil {
		return err
	}
	kept := &keptVolume{volume: v, dir: dir}
	if err := kept.hold(pod, wanted); err != nil {
		return err
	}
	if err := k.watch(k.ctx, pod, v, k.poke); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.kept) == 0 {
		go k.keep(k.ctx)
	} else {
		k.poke() // it may be due before the others
	}
	k.kept[v.Name] = kept
	return nil
}

// end returns once nothing is written any more.
func (k *volumeKeeper) end() {
	k.stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = nil
}

// note lets volumes follow the Pod's labels and annotations.
func (k *volumeKeeper) note(pod *corev1.Pod) {
	if k.noted != nil && (!maps.Equal(k.noted.Labels, pod.Labels) || !maps.Equal(k.noted.Annotations, pod.Annotations)) {
		k.poke()
	}
	k.noted = pod
}

func (k *volumeKeeper) poke() {
	select {
	case k.changed <- struct{}{}:
	default:
	}
}

// keep updates the volumes until ctx ends.
func (k *volumeKeeper) keep(ctx context.Context) {
	for {
		var timer <-chan time.Time
		if next := k.updateAll(ctx); !next.IsZero() {
			timer = k.clock.After(next.Sub(k.clock.Now()))
		}
		select {
		case <-ctx.Done():
			return
		case <-k.changed:
		case <-timer:
		}
	}
}

// updateAll says when to look again if nothing happens before then, or the zero
// time. What can not be read now, such as an object that was deleted, stays as it
// was.
func (k *volumeKeeper) updateAll(ctx context.Context) (next time.Time) {
	pod, gone := k.latest()
	if gone {
		return next
	}
	k.mu.Lock()
	all := slices.Collect(maps.Values(k.kept))
	k.mu.Unlock()
	for _, kept := range all {
		until, err := k.update(ctx, pod, kept)
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				k.log.Info("Could not update a volume, will try again", "pod", klog.KObj(pod), "volume", kept.volume.Name, "reason", err.Error())
			}
			until = k.clock.Now().Add(10 * retryInterval)
		}
		next = earlier(next, until)
	}
	return next
}

// update says until when the volume is good.
func (k *volumeKeeper) update(ctx context.Context, pod *corev1.Pod, kept *keptVolume) (until time.Time, err error) {
	wanted, until, err := k.content(ctx, pod, kept.volume)
	if err != nil {
		return until, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil { // it has ended meanwhile
		return until, nil
	}
	return until, kept.hold(pod, wanted)
}

// hold makes the volume hold the content.
func (v *keptVolume) hold(pod *corev1.Pod, wanted payload) error {
	if v.holds != nil && wanted.equal(v.holds) {
		return nil
	}
	if err := wanted.write(v.dir, volumeGroup(pod)); err != nil {
		return err
	}
	v.holds = wanted
	return nil
}
