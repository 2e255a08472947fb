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
	"errors"
	"fmt"
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/operation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	"k8s.io/kubernetes/pkg/apis/discovery"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
	endpointsregistry "k8s.io/kubernetes/pkg/registry/core/endpoint"
	serviceregistry "k8s.io/kubernetes/pkg/registry/core/service"
	"k8s.io/kubernetes/pkg/registry/core/service/ipallocator"
	servicestorage "k8s.io/kubernetes/pkg/registry/core/service/storage"
	sliceregistry "k8s.io/kubernetes/pkg/registry/discovery/endpointslice"
)

// requestFor is the context that a request for an object of a namespace runs
// in; the strategies read the API version from it.
func requestFor(group, resource, subresource, namespace string) context.Context {
	ctx := genericapirequest.WithNamespace(context.Background(), namespace)
	return genericapirequest.WithRequestInfo(ctx, &genericapirequest.RequestInfo{
		IsResourceRequest: true, APIGroup: group, APIVersion: "v1", Resource: resource, Subresource: subresource, Namespace: namespace,
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

// declared merges in what the strategy's type declares, as a request would.
func declared(ctx context.Context, strategy rest.DeclarativeValidationStrategy, object, old runtime.Object, errs field.ErrorList) field.ErrorList {
	op := operation.Create
	if old != nil {
		op = operation.Update
	}
	return strategy.ValidateDeclaratively(ctx, object, old, errs, op, strategy.DeclarativeValidationConfig(ctx, object, old))
}

func serverService(svc *corev1.Service) field.ErrorList {
	ctx, object := requestFor("", "services", "", svc.Namespace), internal[*api.Service](svc)
	return declared(ctx, serviceregistry.Strategy, object, nil, serviceregistry.Strategy.Validate(ctx, object))
}

func serverServiceUpdate(before, after *corev1.Service) field.ErrorList {
	ctx := requestFor("", "services", "", after.Namespace)
	object, old := internal[*api.Service](after), internal[*api.Service](before)
	return declared(ctx, serviceregistry.Strategy, object, old, serviceregistry.Strategy.ValidateUpdate(ctx, object, old))
}

func serverStatusUpdate(before, after *corev1.Service) field.ErrorList {
	ctx := requestFor("", "services", "", after.Namespace)
	object, old := internal[*api.Service](after), internal[*api.Service](before)
	return declared(ctx, serviceregistry.StatusStrategy, object, old, serviceregistry.StatusStrategy.ValidateUpdate(ctx, object, old))
}

func serverServiceWarnings(svc *corev1.Service) []string {
	return serviceregistry.Strategy.WarningsOnCreate(context.Background(), internal[*api.Service](svc))
}

func serverEndpoints(endpoints *corev1.Endpoints) field.ErrorList {
	ctx, object := requestFor("", "endpoints", "", endpoints.Namespace), internal[*api.Endpoints](endpoints)
	return declared(ctx, endpointsregistry.Strategy, object, nil, endpointsregistry.Strategy.Validate(ctx, object))
}

func serverEndpointsUpdate(before, after *corev1.Endpoints) field.ErrorList {
	ctx := requestFor("", "endpoints", "", after.Namespace)
	object, old := internal[*api.Endpoints](after), internal[*api.Endpoints](before)
	return declared(ctx, endpointsregistry.Strategy, object, old, endpointsregistry.Strategy.ValidateUpdate(ctx, object, old))
}

func serverEndpointsWarnings(endpoints *corev1.Endpoints) []string {
	return endpointsregistry.Strategy.WarningsOnCreate(context.Background(), internal[*api.Endpoints](endpoints))
}

func serverSlice(slice *discoveryv1.EndpointSlice) field.ErrorList {
	ctx, object := requestFor("discovery.k8s.io", "endpointslices", "", slice.Namespace), internal[*discovery.EndpointSlice](slice)
	return declared(ctx, sliceregistry.Strategy, object, nil, sliceregistry.Strategy.Validate(ctx, object))
}

func serverSliceUpdate(before, after *discoveryv1.EndpointSlice) field.ErrorList {
	ctx := requestFor("discovery.k8s.io", "endpointslices", "", after.Namespace)
	object, old := internal[*discovery.EndpointSlice](after), internal[*discovery.EndpointSlice](before)
	return declared(ctx, sliceregistry.Strategy, object, old, sliceregistry.Strategy.ValidateUpdate(ctx, object, old))
}

func serverSliceWarnings(slice *discoveryv1.EndpointSlice) []string {
	return sliceregistry.Strategy.WarningsOnCreate(context.Background(), internal[*discovery.EndpointSlice](slice))
}

// registry is the part of the server that takes a Service in: allocation, which
// comes first, and then the strategy. Its allocators have every number free.
type registry struct {
	families []corev1.IPFamily
	rest     *servicestorage.REST
}

func newRegistry(families ...corev1.IPFamily) (*registry, error) {
	options := generic.RESTOptions{
		StorageConfig: &storagebackend.ConfigForResource{
			Config:        storagebackend.Config{Codec: legacyscheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion)},
			GroupResource: schema.GroupResource{Resource: "services"},
		},
		Decorator:      noStorage,
		ResourcePrefix: "services",
	}
	ips := map[api.IPFamily]ipallocator.Interface{}
	for _, family := range families {
		ips[api.IPFamily(family)] = freeIPs{family}
	}
	service, _, _, err := servicestorage.NewREST(options, api.IPFamily(families[0]), ips, &freePorts{}, nil, nil, nil)
	return &registry{families, service}, err
}

// create is what happens to a Service that is posted.
func (r *registry) create(svc *corev1.Service) ([]problem, error) {
	svc = svc.DeepCopy()
	legacyscheme.Scheme.Default(svc)
	object := internal[*api.Service](svc)
	object.UID, object.CreationTimestamp = types.UID("u"), metav1.Now()
	ctx := requestFor("", "services", "", svc.Namespace)
	finish, err := r.rest.BeginCreate(ctx, object, &metav1.CreateOptions{})
	if err != nil {
		return causes(err)
	}
	defer finish(ctx, false)
	return causes(rest.BeforeCreate(serviceregistry.Strategy, ctx, object))
}

// allocateUpdate is what happens to an update before it is validated.
func (r *registry) allocateUpdate(before, after *corev1.Service) ([]problem, error) {
	ctx := requestFor("", "services", "", after.Namespace)
	finish, err := r.rest.BeginUpdate(ctx, internal[*api.Service](after), internal[*api.Service](before), &metav1.UpdateOptions{})
	if err != nil {
		return causes(err)
	}
	finish(ctx, false)
	return nil, nil
}

// causes are the field errors of an answer; anything else is no answer.
func causes(err error) ([]problem, error) {
	if err == nil {
		return nil, nil
	}
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || !apierrors.IsInvalid(err) {
		return nil, err
	}
	var problems []problem
	for _, cause := range status.Status().Details.Causes {
		problems = append(problems, problem{string(cause.Type), cause.Field, cause.Message})
	}
	slices.SortFunc(problems, problem.compare)
	return problems, nil
}

func noStorage(*storagebackend.ConfigForResource, string, func(runtime.Object) (string, error), func() runtime.Object, func() runtime.Object,
	storage.AttrFunc, storage.IndexerFuncs, *cache.Indexers) (storage.Interface, factory.DestroyFunc, error) {
	return nil, func() {}, nil
}

type freeIPs struct{ family corev1.IPFamily }

func (f freeIPs) AllocateNext() (net.IP, error) {
	if f.family == corev1.IPv6Protocol {
		return net.ParseIP("fd96::96"), nil
	}
	return net.ParseIP("10.96.0.96"), nil
}

func (f freeIPs) CIDR() net.IPNet               { return net.IPNet{} }
func (f freeIPs) IPFamily() api.IPFamily        { return api.IPFamily(f.family) }
func (f freeIPs) DryRun() ipallocator.Interface { return f }
func (freeIPs) Allocate(net.IP) error           { return nil }
func (freeIPs) Release(net.IP) error            { return nil }
func (freeIPs) ForEach(func(net.IP))            {}
func (freeIPs) Has(net.IP) bool                 { return false }
func (freeIPs) Destroy()                        {}
func (freeIPs) EnableMetrics()                  {}

// freePorts gives out numbers that no generated object asks for.
type freePorts struct{ next int }

func (f *freePorts) AllocateNext() (int, error) {
	f.next = (f.next + 1) % 1000
	return 50000 + f.next, nil
}

func (*freePorts) Allocate(int) error { return nil }
func (*freePorts) Release(int) error  { return nil }
func (*freePorts) ForEach(func(int))  {}
func (*freePorts) Has(int) bool       { return false }
func (*freePorts) Destroy()           {}
func (*freePorts) EnableMetrics()     {}
