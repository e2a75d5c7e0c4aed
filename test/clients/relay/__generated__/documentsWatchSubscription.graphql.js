/**
 * @generated SignedSource<<e0316f1827f4e03202eefa9ce87a1408>>
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

var node = (function(){
var v0 = [
  {
    "defaultValue": null,
    "kind": "LocalArgument",
    "name": "id"
  }
],
v1 = [
  {
    "alias": null,
    "args": [
      {
        "kind": "Variable",
        "name": "id",
        "variableName": "id"
      }
    ],
    "concreteType": "ExecutionUpdatedPayload",
    "kind": "LinkedField",
    "name": "executionUpdated",
    "plural": false,
    "selections": [
      {
        "alias": null,
        "args": null,
        "concreteType": "Execution",
        "kind": "LinkedField",
        "name": "execution",
        "plural": false,
        "selections": [
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "globalId",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "id",
            "storageKey": null
          },
          {
            "alias": null,
            "args": null,
            "kind": "ScalarField",
            "name": "status",
            "storageKey": null
          }
        ],
        "storageKey": null
      }
    ],
    "storageKey": null
  }
];
return {
  "fragment": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Fragment",
    "metadata": null,
    "name": "documentsWatchSubscription",
    "selections": (v1/*:: as any*/),
    "type": "Subscription",
    "abstractKey": null
  },
  "kind": "Request",
  "operation": {
    "argumentDefinitions": (v0/*:: as any*/),
    "kind": "Operation",
    "name": "documentsWatchSubscription",
    "selections": (v1/*:: as any*/)
  },
  "params": {
    "cacheID": "cea7a368ee38ea9142571bb12a33d511",
    "id": null,
    "metadata": {},
    "name": "documentsWatchSubscription",
    "operationKind": "subscription",
    "text": "subscription documentsWatchSubscription(\n  $id: UUID!\n) {\n  executionUpdated(id: $id) {\n    execution {\n      globalId\n      id\n      status\n    }\n  }\n}\n"
  }
};
})();

node.hash = "a8eb34e64c71aa5f8862e91f1c68c074";

export default node;
