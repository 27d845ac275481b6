// Infrastructure for redis-snapshot between two sites: a storage account in each region, an IoT Hub for the devices, and, if wanted,
// an Azure Managed Redis as target in the DR region. See README.md for what was and was not verified.
targetScope = 'resourceGroup'

@description('Begins the names of all resources: 3 to 11 lower-case letters and digits.')
@minLength(3)
@maxLength(11)
param appName string

@description('Region of the source site.')
param location string = resourceGroup().location

@description('Region of the DR site.')
param drLocation string

@description('Days after which a deleted snapshot is gone for good.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Object ids of the identities (VM, Arc machine, AKS workload) that read and write snapshots at both sites.')
param snapshotPrincipalIds array = []

@description('Whether an Azure Managed Redis is made in the DR region.')
param deployManagedRedis bool = false

@description('Size of the Azure Managed Redis.')
param managedRedisSku string = 'Balanced_B0'

module source 'modules/snapshot-storage.bicep' = {
  name: 'source-storage'
  params: {
    name: '${appName}src${uniqueString(resourceGroup().id)}'
    location: location
    softDeleteDays: softDeleteDays
    principalIds: snapshotPrincipalIds
  }
}

module dr 'modules/snapshot-storage.bicep' = {
  name: 'dr-storage'
  params: {
    name: '${appName}dr${uniqueString(resourceGroup().id)}'
    location: drLocation
    softDeleteDays: softDeleteDays
    principalIds: snapshotPrincipalIds
  }
}

module hub 'modules/iot-hub.bicep' = {
  name: 'iot-hub'
  params: {
    name: '${appName}-hub-${uniqueString(resourceGroup().id)}'
    location: location
  }
}

module managedRedis 'modules/managed-redis.bicep' = if (deployManagedRedis) {
  name: 'managed-redis'
  params: {
    name: '${appName}-dr-${uniqueString(resourceGroup().id)}'
    location: drLocation
    skuName: managedRedisSku
  }
}

@description('blobEndpoint of the source site.')
output sourceBlobEndpoint string = source.outputs.blobEndpoint

@description('copyBlobEndpoint of the source site, and blobEndpoint of the DR site.')
output drBlobEndpoint string = dr.outputs.blobEndpoint

@description('blobContainerName and copyBlobContainerName.')
output containerName string = source.outputs.containerName

output iotHubName string = hub.outputs.name
