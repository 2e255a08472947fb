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

package agent

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Announcer makes an Event that every node would make of the same object. It
// does not block.
type Announcer interface {
	Announce(object *corev1.ObjectReference, reason, message string)
}

const (
	// waiting bounds the Events that are still to be made; what is too many is
	// only logged.
	waiting = 1000
	// announcePause keeps a cluster full of mistakes from using up the
	// requests that this client may make.
	announcePause = 500 * time.Millisecond
	// longestPrefix leaves room for the hash in the name of an Event.
	longestPrefix = 200
)

// OnceForAll is an Announcer that names each Event after what it says. So only
// the first of all nodes makes it, and the others find that it exists; it comes
// anew when the API server has forgotten it, after an hour.
type OnceForAll struct {
	client    kubernetes.Interface
	component string
	events    chan *corev1.Event
}

// NewOnceForAll makes Events in the name of component, once Run runs.
func NewOnceForAll(client kubernetes.Interface, component string) *OnceForAll {
	return &OnceForAll{client: client, component: component, events: make(chan *corev1.Event, waiting)}
}

// Announce is part of Announcer.
func (o *OnceForAll) Announce(object *corev1.ObjectReference, reason, message string) {
	now := metav1.Now()
	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: object.Namespace, Name: eventName(object, reason, message)},
		InvolvedObject: *object, Reason: reason, Message: message, Type: corev1.EventTypeWarning,
		Source:         corev1.EventSource{Component: o.component},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
	select {
	case o.events <- event:
	default:
	}
}

func eventName(object *corev1.ObjectReference, reason, message string) string {
	hash := fnv.New64a()
	fmt.Fprintf(hash, "%s\x00%s\x00%s\x00%s", object.Kind, object.UID, reason, message)
	return fmt.Sprintf("%s.%016x", object.Name[:min(len(object.Name), longestPrefix)], hash.Sum64())
}

// Run makes the Events, until ctx ends.
func (o *OnceForAll) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-o.events:
			_, err := o.client.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
			if err != nil && !apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
				log.FromContext(ctx).V(2).Info("Could not make an Event", "event", event.Message, "reason", err.Error())
			}
			sleep(ctx, announcePause)
		}
	}
}
