console.log("edge")
