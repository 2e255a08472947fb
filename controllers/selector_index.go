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
	"sync"

	"k8s.io/apimachinery/pkg/types"
)

// selectorIndex answers which Services select a set of labels, at a cost that
// depends on the pod's labels and on the Services it matches, not on how many
// Services its namespace holds (kube-controller-manager tries them all).
//
// A selector is a conjunction, so a Service can only match a pod that carries
// every one of its label pairs: it is enough to file it under one of them, its
// anchor, and to check the others when a pod with that pair turns up. The rarest
// pair makes the best anchor; a Service takes whichever of its pairs fewest
// Services are filed under so far.
//
//	web:  {app: web, tier: front}   filed under app=web,  rest tier=front
//	shop: {app: shop, tier: front}  filed under app=shop, rest tier=front
//	pod   {app: web, tier: front, pod-template-hash: 6f}  three look-ups, one check
//
// The zero value is not usable; call newSelectorIndex. All methods may be called
// concurrently.
type selectorIndex struct {
	mu         sync.RWMutex
	namespaces map[string]*namespaceSelectors
}

type labelPair struct{ key, value string }

// namespaceSelectors is the index of one namespace, by Service name.
type namespaceSelectors struct {
	anchors  map[string]labelPair
	anchored map[labelPair]map[string][]labelPair
}

func newSelectorIndex() *selectorIndex {
	return &selectorIndex{namespaces: map[string]*namespaceSelectors{}}
}

// Set files a Service under its selector and forgets what it selected before. An
// empty selector selects nothing (KEP-0752: such a Service is on its own).
func (x *selectorIndex) Set(service types.NamespacedName, selector map[string]string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(service)
	if len(selector) == 0 {
		return
	}
	space := x.namespaces[service.Namespace]
	if space == nil {
		space = &namespaceSelectors{anchors: map[string]labelPair{}, anchored: map[labelPair]map[string][]labelPair{}}
		x.namespaces[service.Namespace] = space
	}
	space.add(service.Name, selector)
}

// Delete forgets a Service; one that is not held is no error.
func (x *selectorIndex) Delete(service types.NamespacedName) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(service)
}

// Has says whether the Service is known to select anything.
func (x *selectorIndex) Has(service types.NamespacedName) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	space := x.namespaces[service.Namespace]
	if space == nil {
		return false
	}
	_, held := space.anchors[service.Name]
	return held
}

// Anchor is the label pair that the Service is filed under.
func (x *selectorIndex) Anchor(service types.NamespacedName) labelPair {
	x.mu.RLock()
	defer x.mu.RUnlock()
	space := x.namespaces[service.Namespace]
	if space == nil {
		return labelPair{}
	}
	return space.anchors[service.Name]
}

// Matches lists the Services of a namespace that select these labels, each once,
// in no particular order.
func (x *selectorIndex) Matches(namespace string, podLabels map[string]string) []types.NamespacedName {
	x.mu.RLock()
	defer x.mu.RUnlock()
	space := x.namespaces[namespace]
	if space == nil {
		return nil
	}
	var found []types.NamespacedName
	for key, value := range podLabels {
		for name, rest := range space.anchored[labelPair{key, value}] {
			if carriesAll(podLabels, rest) {
				found = append(found, types.NamespacedName{Namespace: namespace, Name: name})
			}
		}
	}
	return found
}

func (x *selectorIndex) remove(service types.NamespacedName) {
	space := x.namespaces[service.Namespace]
	if space == nil {
		return
	}
	space.remove(service.Name)
	if len(space.anchors) == 0 {
		delete(x.namespaces, service.Namespace)
	}
}

func (s *namespaceSelectors) add(name string, selector map[string]string) {
	anchor := s.rarest(selector)
	rest := make([]labelPair, 0, len(selector)-1)
	for key, value := range selector {
		if key != anchor.key {
			rest = append(rest, labelPair{key, value})
		}
	}
	if s.anchored[anchor] == nil {
		s.anchored[anchor] = map[string][]labelPair{}
	}
	s.anchored[anchor][name] = rest
	s.anchors[name] = anchor
}

func (s *namespaceSelectors) remove(name string) {
	anchor, held := s.anchors[name]
	if !held {
		return
	}
	delete(s.anchors, name)
	delete(s.anchored[anchor], name)
	if len(s.anchored[anchor]) == 0 {
		delete(s.anchored, anchor)
	}
}

// rarest is the selector's pair that fewest Services are filed under; among
// equals the one that sorts last, so that the choice can be repeated.
func (s *namespaceSelectors) rarest(selector map[string]string) labelPair {
	var best labelPair
	for key, value := range selector {
		pair := labelPair{key, value}
		have, want := len(s.anchored[pair]), len(s.anchored[best])
		if best.key == "" || have < want || have == want && key > best.key {
			best = pair
		}
	}
	return best
}

func carriesAll(podLabels map[string]string, pairs []labelPair) bool {
	for _, pair := range pairs {
		if value, held := podLabels[pair.key]; !held || value != pair.value {
			return false
		}
	}
	return true
}
