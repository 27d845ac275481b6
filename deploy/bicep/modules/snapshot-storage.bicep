// One storage account with a container for snapshots. Blobs are private, TLS only.
param name string
param location string
param softDeleteDays int
param principalIds array

var containerName = 'snapshots'

// Storage Blob Data Contributor
var blobContributor = subscriptionResourceId(
  'Microsoft.Authorization/roleDefinitions',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
)

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  // Account names have at most 24 letters and digits.
  name: take(name, 24)
  location: location
  sku: {
    name: 'Standard_ZRS'
  }
  kind: 'StorageV2'
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    // The module signs in with a SAS, which an account key or a user delegation key signs.
    allowSharedKeyAccess: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: containerName
  properties: {
    publicAccess: 'None'
  }
}

resource assignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for principalId in principalIds: {
    name: guid(account.id, principalId, blobContributor)
    scope: container
    properties: {
      roleDefinitionId: blobContributor
      principalId: principalId
      principalType: 'ServicePrincipal'
    }
  }
]

output blobEndpoint string = account.properties.primaryEndpoints.blob
output containerName string = containerName
