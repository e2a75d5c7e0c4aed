/**
 * @generated SignedSource<<e382c8331471941400f9f7840d53c1d3>>
 * @lightSyntaxTransform
 */

/* eslint-disable */

'use strict';

import documentsRowRefetchQuery_graphql from './documentsRowRefetchQuery.graphql';

var node = {
  "argumentDefinitions": [],
  "kind": "Fragment",
  "metadata": {
    "refetch": {
      "connection": null,
      "fragmentPathInResult": [
        "node"
      ],
      "operation": documentsRowRefetchQuery_graphql,
      "identifierInfo": {
        "identifierField": "globalId",
        "identifierQueryVariableName": "globalId"
      }
    }
  },
  "name": "documentsRow_workflow",
  "selections": [
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
      "name": "name",
      "storageKey": null
    },
    {
      "alias": null,
      "args": null,
      "kind": "ScalarField",
      "name": "status",
      "storageKey": null
    },
    {
      "alias": null,
      "args": null,
      "kind": "ScalarField",
      "name": "globalId",
      "storageKey": null
    }
  ],
  "type": "Workflow",
  "abstractKey": null
};

node.hash = "a5f2f31606418f3167cde002d2fcad6d";

export default node;
