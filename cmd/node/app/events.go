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
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// nodeReference names the Node in Events. Its UID is its name, as kubelet and
// kube-proxy do it, so that `kubectl describe node` finds them.
func nodeReference(name string) *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID(name)}
}

// newRecorder limits the Events about one object to a burst of 25, then one
// every five minutes, which are client-go's defaults.
func newRecorder(client kubernetes.Interface, nodeName string) (recorder record.EventRecorder, stop func()) {
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	source := corev1.EventSource{Component: component, Host: nodeName}
	return broadcaster.NewRecorder(scheme.Scheme, source), broadcaster.Shutdown
}

// lastWords is how long a program that is about to end waits for the API server
// to take its Event.
const lastWords = 2 * time.Second

// nodeWarnings are Events about the Node.
type nodeWarnings struct {
	client   kubernetes.Interface
	recorder record.EventRecorder
	node     *corev1.ObjectReference
}

// say sends an Event in the background.
func (w nodeWarnings) say(reason, message string) {
	w.recorder.Event(w.node, corev1.EventTypeWarning, reason, message)
}

// sayNow returns when the Event is sent, for which a recorder that is stopped
// does not wait.
func (w nodeWarnings) sayNow(ctx context.Context, reason, message string) error {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	now := metav1.Now()
	event := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("%s.%x", w.node.Name, now.UnixNano())},
		InvolvedObject: *w.node, Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		Source:         corev1.EventSource{Component: component, Host: w.node.Name},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	}
	_, err := w.client.CoreV1().Events(event.Namespace).Create(ctx, event, metav1.CreateOptions{})
	return err
}
