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
	"fmt"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"
)

// token is one that was issued, and when it is time for the next.
type token struct {
	text    string
	refresh time.Time
}

// tokens are those of a Pod's volumes. Each is asked for again when four fifths
// of its life are over, or a day, as a kubelet does.
type tokens struct {
	client kubernetes.Interface
	clock  clock.Clock

	mu     sync.Mutex // of issued, not of questions
	issued map[string]token
}

const (
	longestUse = 24 * time.Hour
	// usualLife is the API's default for expirationSeconds.
	usualLife = time.Hour
)

// get is the token of a volume, a new one if it is time.
func (t *tokens) get(ctx context.Context, pod *corev1.Pod, volume string, source *corev1.ServiceAccountTokenProjection) (token, error) {
	key, now := volume+"/"+source.Path, t.clock.Now()
	t.mu.Lock()
	known, ok := t.issued[key]
	t.mu.Unlock()
	if ok && now.Before(known.refresh) {
		return known, nil
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		ExpirationSeconds: source.ExpirationSeconds,
		BoundObjectRef:    &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if source.Audience != "" {
		request.Spec.Audiences = []string{source.Audience}
	}
	answer, err := t.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		return token{}, fmt.Errorf("asking for a token of service account %s: %w", pod.Spec.ServiceAccountName, err)
	}
	life := usualLife
	if seconds := answer.Spec.ExpirationSeconds; seconds != nil {
		life = time.Duration(*seconds) * time.Second
	}
	issued := token{text: answer.Status.Token, refresh: now.Add(useOf(life))}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.issued == nil {
		t.issued = map[string]token{}
	}
	t.issued[key] = issued
	return issued, nil
}

// useOf is how long a token of that life is used.
func useOf(life time.Duration) time.Duration { return min(life/5*4, longestUse) }
