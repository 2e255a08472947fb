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

package differential

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	endpointsregistry "k8s.io/kubernetes/pkg/registry/core/endpoint"
	serviceregistry "k8s.io/kubernetes/pkg/registry/core/service"
	sliceregistry "k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
)

// requestFor is the context that a request for an object of a namespace runs
// in; the strategies read the API version from it.
func requestFor(group, resource, namespace string) context.Context {
	ctx := genericapirequest.WithNamespace(context.Background(), namespace)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true, APIGroup: group, APIVersion: "v1", Resource: resource, Namespace: namespace,
	})
}

// internal is a copy of an object as the server has it in memory.
func internal[T runtime.Object](object runtime.Object) T {
	out, err := legacyscheme.Scheme.UnsafeConvertToVersion(object.DeepCopyObject(), runtime.InternalGroupVersioner)
	if err != nil {
		panic(fmt.Sprintf("converting %T: %v", object, err))
	}
	return out.(T)
}

// strategy is what the server has of each kind.
type strategy interface {
	rest.RESTCreateStrategy
	rest.RESTUpdateStrategy
	rest.DeclarativeValidationStrategy
}

// server is a stock API server's side of one kind.
type server struct {
	group, resource string
	strategy        strategy
}

var (
	serviceServer   = server{"", "services", serviceregistry.Strategy}
	statusServer    = server{"", "services", serviceregistry.StatusStrategy}
	endpointsServer = server{"", "endpoints", endpointsregistry.Strategy}
	sliceServer     = server{"discovery.k8s.io", "endpointslices", sliceregistry.Strategy}
)

// object is what all of them are.
type object interface {
	runtime.Object
	metav1.Object
}

func (s server) create(o object) field.ErrorList {
	ctx, made := requestFor(s.group, s.resource, o.GetNamespace()), internal[runtime.Object](o)
	errs := s.strategy.Validate(ctx, made)
	return s.strategy.ValidateDeclaratively(ctx, made, nil, errs, operation.Create, s.strategy.DeclarativeValidationConfig(ctx, made, nil))
}

func (s server) update(before, after object) field.ErrorList {
	ctx := requestFor(s.group, s.resource, after.GetNamespace())
	made, old := internal[runtime.Object](after), internal[runtime.Object](before)
	errs := s.strategy.ValidateUpdate(ctx, made, old)
	return s.strategy.ValidateDeclaratively(ctx, made, old, errs, operation.Update, s.strategy.DeclarativeValidationConfig(ctx, made, old))
}

// put is what happens to an object that takes the place of another, after
// allocation.
func (s server) put(before, after runtime.Object, namespace string) ([]problem, error) {
	return causes(rest.BeforeUpdate(s.strategy, requestFor(s.group, s.resource, namespace), after, before))
}

func (s server) warnings(o object) []string {
	return s.strategy.WarningsOnCreate(context.Background(), internal[runtime.Object](o))
}
