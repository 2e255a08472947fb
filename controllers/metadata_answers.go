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
	"context"
	"fmt"
	"net/http"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	discoveryclient "k8s.io/client-go/kubernetes/typed/discovery/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// metadataAnswers updates objects and asks for no more of each than its metadata:
// who has just written a thousand addresses need not read them again.
type metadataAnswers struct {
	rest     rest.Interface
	resource string
}

// metadataOnly is what is accepted. Errors come as they are, and so would the whole
// object from a server that does not know of this.
const metadataOnly = runtime.ContentTypeProtobuf + ";as=PartialObjectMetadata;g=meta.k8s.io;v=v1," + runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON

var answersScheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(metav1.AddMetaToScheme(scheme))
	return scheme
}()

func newMetadataAnswers(config *rest.Config, connection *http.Client, resource schema.GroupVersionResource) (metadataAnswers, error) {
	version := resource.GroupVersion()
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &version, "/apis"
	if version.Group == "" {
		config.APIPath = "/api"
	}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, metadataOnly
	config.NegotiatedSerializer = serializer.NewCodecFactory(answersScheme).WithoutConversion()
	answers, err := rest.RESTClientForConfigAndClient(config, connection)
	return metadataAnswers{answers, resource.Resource}, err
}

// update returns the object's new metadata.
func (a metadataAnswers) update(ctx context.Context, object client.Object, options *metav1.UpdateOptions) (*metav1.ObjectMeta, error) {
	answer, err := a.rest.Put().Namespace(object.GetNamespace()).Resource(a.resource).Name(object.GetName()).
		VersionedParams(options, clientgoscheme.ParameterCodec).Body(object).Do(ctx).Get()
	if err != nil {
		return nil, err
	}
	if described, ok := answer.(metav1.ObjectMetaAccessor); ok {
		if metadata, ok := described.GetObjectMeta().(*metav1.ObjectMeta); ok {
			return metadata, nil
		}
	}
	return nil, fmt.Errorf("the answer is a %T, without metadata", answer)
}

// sliceClient writes EndpointSlices.
func sliceClient(config *rest.Config) (discoveryclient.EndpointSlicesGetter, error) {
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
	}
	slices, err := discoveryclient.NewForConfigAndClient(config, connection)
	if err != nil {
		return nil, err
	}
	answers, err := newMetadataAnswers(config, connection, discoveryv1.SchemeGroupVersion.WithResource("endpointslices"))
	return slicesWithoutAnswers{slices, answers}, err
}

// slicesWithoutAnswers are EndpointSlices that an update returns without their
// endpoints.
type slicesWithoutAnswers struct {
	discoveryclient.EndpointSlicesGetter
	answers metadataAnswers
}

// EndpointSlices implements EndpointSlicesGetter.
func (s slicesWithoutAnswers) EndpointSlices(namespace string) discoveryclient.EndpointSliceInterface {
	return sliceClientWithoutAnswers{s.EndpointSlicesGetter.EndpointSlices(namespace), s.answers}
}

type sliceClientWithoutAnswers struct {
	discoveryclient.EndpointSliceInterface
	answers metadataAnswers
}

// Update implements EndpointSliceInterface.
func (s sliceClientWithoutAnswers) Update(
	ctx context.Context, slice *discoveryv1.EndpointSlice, options metav1.UpdateOptions,
) (*discoveryv1.EndpointSlice, error) {
	answer, err := s.answers.update(ctx, slice, &options)
	if err != nil {
		return nil, err
	}
	return &discoveryv1.EndpointSlice{ObjectMeta: *answer}, nil
}
