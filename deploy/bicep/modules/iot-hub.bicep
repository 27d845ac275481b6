// The IoT Hub that devices of both sites are registered with.
param name string
param location string

resource hub 'Microsoft.Devices/IotHubs@2023-06-30' = {
  name: name
  location: location
  sku: {
    name: 'S1'
    capacity: 1
  }
  properties: {
    minTlsVersion: '1.2'
  }
}

output name string = hub.name
